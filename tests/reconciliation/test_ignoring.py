"""Ignoring holds for what was seen, for as long as was said, and is no approval."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.utils import timezone

from broker.models import Account
from orders.models import Order
from positions.rebuilding import rebuild_positions
from reconciliation.ignoring import ignore_drift
from reconciliation.models import Drift, Fix, Run
from tests.factories import make_adjustment
from tests.reconciliation.steps import kinds, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


def ignore(drift: Drift) -> None:
    now = timezone.now()
    ignore_drift(drift=drift, actor="ops", reason="it is known", until=now + timedelta(days=3), now=now)


def invent(account: Account, qty: str) -> None:
    make_adjustment(account, qty=qty, price="100", kind="correction")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())


def canceled(sim: SimAccount, **fields: str) -> dict[str, str]:
    raw = placed(sim, type="limit", limit_price="1.00", wait="new", **fields)
    sim.api("DELETE", f"/v2/orders/{raw['id']}")
    return sim.wait_for_status(raw["client_order_id"], "canceled")


def filled_one_ahead(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, canceled(sim, client_order_id="ts-1"))
    Order.objects.update(filled_qty=Decimal(3))


def test_gap_that_grows_is_shown_again(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    invent(account, "5")
    reconcile(account)
    ignore(open_roots(account)[0])
    assert reconcile(account).state == Run.State.IN_SYNC
    invent(account, "500")
    assert reconcile(account).state == Run.State.DRIFT


def test_gap_that_only_moves_with_both_sides_stays_ignored(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    invent(account, "5")
    reconcile(account)
    ignore(open_roots(account)[0])
    record_as(account, sim, placed(sim, client_order_id="ts-2"))
    assert reconcile(account).state == Run.State.IN_SYNC


def test_ignored_order_that_fills_is_shown_again(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, type="limit", limit_price="1.00", wait="new")
    reconcile(account)
    ignore(open_roots(account)[0])
    assert reconcile(account).state == Run.State.IN_SYNC
    sim.act("fill", order_id=raw["id"], price="1.00")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"external_order": ["position_broker_only"]}


def test_fix_of_what_is_ignored_is_not_among_all(account: Account, sim: SimAccount) -> None:
    placed(sim)
    reconcile(account)
    assert Fix.objects.proposed().count() == 1
    ignore(open_roots(account)[0])
    assert not Fix.objects.proposed().exists()
    reconcile(account)
    assert not Fix.objects.proposed().exists()


@pytest.mark.parametrize("make", [lambda _account, sim: canceled(sim), filled_one_ahead])
def test_what_left_the_window_is_not_resolved_and_comes_back_in_time(
    account: Account, sim: SimAccount, settings: LazySettings, make: Callable[[Account, SimAccount], object]
) -> None:
    settings.CURSOR_OVERLAP_HOURS = 0
    make(account, sim)
    reconcile(account)
    drift = open_roots(account)[0]
    ignore(drift)
    assert [reconcile(account).state for _ in range(3)] == [Run.State.IN_SYNC] * 3
    assert Drift.objects.get().state == Drift.State.IGNORED
    Drift.objects.update(ignored_until=timezone.now())
    assert [reconcile(account).state for _ in range(2)] == [Run.State.DRIFT] * 2
    assert open_roots(account) == [drift]


def test_consequence_of_what_is_ignored_is_not_a_riddle_of_every_run(
    account: Account, sim: SimAccount, settings: LazySettings
) -> None:
    settings.CURSOR_OVERLAP_HOURS = 0
    placed(sim)
    reconcile(account)
    ignore(open_roots(account)[0])
    assert [reconcile(account).is_full for _ in range(3)] == [False] * 3
    assert Drift.objects.filter(state=Drift.State.IGNORED).count() == 2
