"""Pure functions of frames of trials: fronts, hypervolumes, tables, pictures."""
