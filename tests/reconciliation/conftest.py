import pytest
from django.conf import LazySettings


@pytest.fixture(autouse=True)
def _no_quiet_period(settings: LazySettings) -> None:
    """The second reading follows at once: nothing but the test moves the account."""
    settings.QUIET_PERIOD_SECONDS = 0
