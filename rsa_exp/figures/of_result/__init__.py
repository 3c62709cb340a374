"""The figures of one result, a module each."""
