"""The command line: arguments, the Hydra application, help, messages."""
