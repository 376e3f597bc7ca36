"""Genotype <-> architecture: which networks a search can express, as vectors of choices."""
