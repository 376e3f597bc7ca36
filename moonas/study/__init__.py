"""The study: one search in one run folder, from problem to front."""
