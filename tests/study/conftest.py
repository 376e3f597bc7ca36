"""Searches in these tests are small, and nobody looks at their pictures."""

import pytest


@pytest.fixture(autouse=True)
def without_pictures(unrendered: None) -> None:
    """Searches by problems of the tests' own, too."""
