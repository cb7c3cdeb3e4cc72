"""Parts of a share: Alpaca takes them in simple day orders only, so no stop that lasts is ever asked for them."""

import json
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.models import Account
from positions.models import Position
from reconciliation.models import Fix, Run
from reconciliation.protection import Coverage
from reconciliation.protection_board import protection_board
from tests.reconciliation.steps import kinds, placed, reconcile, record_as
from tests.reconciliation.test_protection_kinds import (  # noqa: F401  # fixtures
    account,
    assert_repaired_at_broker,
    exit_order,
    held,
    live,
    orphaned,
    plan,
)
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db

REST = "0.5 QCOM has no stop that lasts: Alpaca takes parts of a share in day orders only."


@pytest.fixture
def parted(account: Account, sim: SimAccount) -> Account:  # noqa: F811
    """10.5 QCOM bought at 100, in an account whose plan is an OCO."""
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1", qty="10.5"))
    plan(account)
    return account


def board_notes(account: Account) -> tuple[Coverage, str]:  # noqa: F811
    [row] = protection_board(account, timezone.now()).rows
    return row.protection.coverage, " ".join(row.protection.notes)


def oco(account: Account, sim: SimAccount, qty: str) -> None:  # noqa: F811
    exit_order(
        account, sim, qty=qty, type="limit", stop_price=None, order_class="oco", take_profit={"limit_price": "116"},
        stop_loss={"stop_price": "92"},
    )  # fmt: skip


def test_a_lasting_stop_grows_to_the_whole_shares(parted: Account, sim: SimAccount) -> None:
    """Alpaca refuses a gtc order for 10.5 shares, and it was proposed anew in every run."""
    exit_order(parted, sim, qty="6")
    reconcile(parted)
    assert list(kinds(parted)) == ["stop_qty"]
    [fix] = Fix.objects.filter(account=parted, acts_at_broker=True).proposed()
    assert fix.plan[0]["wanted"] == {"qty": "10"}
    assert_repaired_at_broker(parted)
    assert live(sim) == [("stop", "10", "92")]


def test_the_rest_beside_a_pair_is_no_drift_and_the_board_says_why(parted: Account, sim: SimAccount) -> None:
    oco(parted, sim, "10")
    assert reconcile(parted).state == Run.State.IN_SYNC, kinds(parted)
    assert not Fix.objects.filter(acts_at_broker=True).exists()
    coverage, notes = board_notes(parted)
    assert (coverage, REST in notes) == (Coverage.PARTLY, True), notes


def test_beside_a_pair_the_whole_shares_get_another_pair(parted: Account, sim: SimAccount) -> None:
    oco(parted, sim, "6")
    reconcile(parted)
    assert list(kinds(parted)) == ["stop_qty"]
    assert_repaired_at_broker(parted)
    assert live(sim) == [("limit", "4", None), ("limit", "6", None), ("stop", "4", "92"), ("stop", "6", "92")]


def test_a_day_stop_takes_the_whole_position(parted: Account, sim: SimAccount) -> None:
    exit_order(parted, sim, qty="6", time_in_force="day")
    reconcile(parted)
    assert list(kinds(parted)) == ["stop_qty"]
    assert_repaired_at_broker(parted)
    assert live(sim) == [("stop", "10.5", "92")]


@pytest.mark.parametrize(
    ("size", "left", "lasts"), [("4.5", "4", "gtc"), ("0.5", "0.5", "day")], ids=["shares and a part", "a part"]
)
def test_a_stop_for_more_than_is_held_shrinks_to_what_alpaca_takes(
    account: Account,  # noqa: F811
    sim: SimAccount,
    size: str,
    left: str,
    lasts: str,
) -> None:
    orphaned(account, sim, position=size, orders=[{"client_order_id": "ts-stop"}])
    reconcile(account)
    assert list(kinds(account)) == ["stop_qty"]
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", left, "92")]
    [order] = sim.api("GET", "/v2/orders")
    assert (Decimal(order["qty"]), order["time_in_force"]) == (Decimal(left), lasts)


def test_without_a_price_no_stop_is_proposed_and_the_board_says_why(held: Account, sim: SimAccount) -> None:  # noqa: F811
    plan(held)
    rows = [{**row, "current_price": None} for row in sim.api("GET", "/v2/positions")]
    sim.fault("status", "GET", "/v2/positions", status=200, body=json.dumps(rows), times=None)
    reconcile(held)
    assert list(kinds(held)) == ["naked_position"]
    assert not Fix.objects.filter(acts_at_broker=True).exists()
    Position.objects.update(last_price=None)
    assert "Alpaca tells no price of QCOM" in board_notes(held)[1]
    sim.clear_faults()
    reconcile(held)
    assert_repaired_at_broker(held)
