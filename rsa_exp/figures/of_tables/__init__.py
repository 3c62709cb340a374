"""The figures of tables over several runs, a module each."""
