"""Of two stops that are one too many the one that lasts stays, whichever is older."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import Account
from tests.reconciliation.steps import kinds, reconcile
from tests.reconciliation.test_protection_kinds import (  # noqa: F401  # fixtures
    account,
    assert_repaired_at_broker,
    live,
    orphaned,
)
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


def test_the_stop_that_ends_at_the_close_goes(account: Account, sim: SimAccount) -> None:  # noqa: F811
    """The newer one is good till cancelled: without it the position is naked from the close on."""
    newer = {"client_order_id": "ts-lasting", "submitted_at": (timezone.now() - timedelta(minutes=1)).isoformat()}
    orphaned(account, sim, position="10", orders=[{"client_order_id": "ts-day", "time_in_force": "day"}, newer])
    reconcile(account)
    assert list(kinds(account)) == ["double_protection"]
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "10", "92")]
    assert [order["time_in_force"] for order in sim.api("GET", "/v2/orders")] == ["gtc"]
