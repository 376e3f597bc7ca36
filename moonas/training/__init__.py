"""Data sets and their splits, and the trainer."""
