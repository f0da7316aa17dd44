"""A real API server with the CRD, for the whole folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.contract.server import Server
from support.control_plane import ControlPlane


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """No node, no operator: nothing but the API server has a say."""
    with ControlPlane(tmp_path_factory.mktemp("contract") / "control-plane") as plane:
        found = Server(plane)
        yield found
        found.close()
