"""Profiles of other devices: a bundle that measures itself there, and what comes back."""
