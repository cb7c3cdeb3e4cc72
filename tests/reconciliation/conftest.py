import pytest
from django.conf import LazySettings


@pytest.fixture(autouse=True)
def _no_quiet_period(settings: LazySettings) -> None:
    """The second reading follows at once: nothing but the test moves the account."""
    settings.QUIET_PERIOD_SECONDS = 0


@pytest.fixture(autouse=True)
def _asks_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long the gateway waits between two attempts is its own tests' matter."""
    monkeypatch.setattr("broker.reading._FIRST_PAUSE_SECONDS", 0.01)
