"""A machine without AWS: an engine in memory, tables, seed data, a server. Nothing of this package runs on Lambda."""
