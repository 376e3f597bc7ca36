"""The test part, for the final networks alone. No module of a search may import this one."""

from __future__ import annotations

from moonas.spec.data import DataSpec
from moonas.training.data_sets import Part, load_data_set
from moonas.training.split import split_indices


def load_test_part(spec: DataSpec) -> Part:
    """Load the images that no search has seen: the data set's own test part, or the share that was split off."""
    data = load_data_set(spec)
    _, _, test = split_indices(data, spec)
    return data.test if data.test is not None else data.main.take(test)
