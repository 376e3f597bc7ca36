"""Measurements of moonas itself: `python -m moonas.benchmark loop`."""
