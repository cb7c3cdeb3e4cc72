"""Keep pandas out of the processes that only trade.

alpaca-py imports pandas for one validator of dates (alpaca.trading.requests, CorporateActions) that nothing here
calls. It costs three quarters of the time and memory of importing the SDK: seconds after a worker died in which
nobody sends orders.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_NAME = "pandas"


class _Late(ModuleType):
    """Stands where pandas was imported, and imports it when the first of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        _forget(self)
        return getattr(import_module(_NAME), name)


@contextmanager
def pandas_loaded_late() -> Iterator[None]:
    """Give to whoever imports pandas inside a stand-in that becomes pandas when it is used.

    Afterwards an import means pandas itself again. Where pandas is loaded already, nothing changes.
    """
    if _NAME in sys.modules:
        yield
        return
    stand_in = _Late(_NAME)
    sys.modules[_NAME] = stand_in
    try:
        yield
    finally:
        _forget(stand_in)


def _forget(stand_in: ModuleType) -> None:
    if sys.modules.get(_NAME) is stand_in:
        del sys.modules[_NAME]
