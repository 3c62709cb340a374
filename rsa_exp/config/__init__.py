"""The settings of a run: schema, composition and checks."""
