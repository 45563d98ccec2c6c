"""Measurements: how fast the engine is, what it costs, and beside what. ``make bench`` runs them all."""
