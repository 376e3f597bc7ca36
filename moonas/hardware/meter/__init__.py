"""Meters of energy, one a file: what a device measures of itself, and what its owner measures."""
