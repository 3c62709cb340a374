"""Files of RDMs, read one row at a time: one module a format."""
