"""Strategies: which genotypes to evaluate next, by ask and tell."""
