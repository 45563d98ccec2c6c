"""What a machine without AWS needs: an engine in memory, tables, seed data, a server. Nothing here runs on Lambda."""
