"""Four machines, one PostgreSQL, one simulator: made once for all tests of this folder that need them."""

from collections.abc import Iterator

import pytest

from tests.hosts.machines import Machine, machines


@pytest.fixture(scope="module")
def four_machines() -> Iterator[list[Machine]]:
    with machines("anna", "bert", "cleo", "dora") as made:
        yield made
