"""What the engine reports of itself."""
