"""The order of all tests: what takes minutes is started first, so that no worker is left alone with it."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by the marker `long`; the rest stays as it was."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
