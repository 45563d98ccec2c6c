"""The engine under test: its processes, stores and copies of the project, for `bench` and `tests`. It is never deployed."""
