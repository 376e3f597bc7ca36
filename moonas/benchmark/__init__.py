"""Measurements of moonas itself, not of networks: `python -m moonas.benchmark NAME`. Timings stay out of the tests."""
