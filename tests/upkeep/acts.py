"""What the books of these tests are written by."""

from audit.journal import record
from tests.factories import NOW


def journaled(times: int) -> None:
    for number in range(times):
        record(at=NOW, actor="ops", action="test.written", summary=f"Entry {number}")
