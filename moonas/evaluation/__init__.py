"""Architectures -> metrics: evaluators, and the pipeline that asks the cheap ones first."""
