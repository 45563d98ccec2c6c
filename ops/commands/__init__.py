"""The commands. Each: find the stage, make one call, show the result."""
