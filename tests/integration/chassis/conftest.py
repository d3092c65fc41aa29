"""One authority for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.integration.chassis.loopback import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))
