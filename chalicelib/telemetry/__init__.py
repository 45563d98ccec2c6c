"""Telemetry: what the engine reports about itself, as log lines."""
