"""Orders that drift apart by whose they are: Alpaca's own, sent twice, gone. At the simulator, to the undoing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Order
from positions.models import Position
from positions.rebuilding import rebuild_positions
from reconciliation.models import Fix, Run
from tests.factories import make_fill, make_order
from tests.reconciliation.mending import repair, shown, undo, working
from tests.reconciliation.steps import books, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


# --- Alpaca's own orders, and orders sent twice -----------------------------------------------------------------


def test_order_that_alpaca_made_itself_is_recorded_with_its_cause(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    before = books()
    raw = sim.act("liquidate", key_id=sim.key_id, symbol="QCOM")
    sim.wait_for_status(raw["client_order_id"], "filled")
    assert shown(account) == {"broker_generated_order": ["position_database_only"]}
    (root,) = open_roots(account)
    assert root.sentence.startswith("Alpaca itself placed an order (liquidation): sell 10 QCOM, filled")
    assert root.broker["cause"] == "liquidation"
    fixes = repair(account, sim)
    assert not fixes[0].is_safe_copy
    assert Order.objects.get(side="sell").origin == "external"
    assert Position.objects.get().state == "closed"
    undo(fixes)
    assert books() == before


def test_order_that_was_sent_again_without_its_id_is_told_as_such(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    before = books()
    placed(sim)
    assert shown(account) == {"duplicate_submission": ["position_qty"]}
    (root,) = open_roots(account)
    assert "is at Alpaca twice" in root.sentence
    assert root.severity == "critical"
    fixes = repair(account, sim)
    assert (fixes[0].is_safe_copy, Order.objects.latest("pk").origin) == (False, "external")
    undo(fixes)
    assert books() == before


def test_second_order_for_one_line_that_can_still_fill_is_not_recorded(account: Account, sim: SimAccount) -> None:
    """The repair is to cancel it. Once it is cancelled, what remains is an order of ours that is not recorded."""
    working(account, sim)
    twin = placed(sim, client_order_id="ts-1-1-b", type="limit", limit_price="90", wait="new")
    assert list(shown(account)) == ["duplicate_submission"]
    assert not Fix.objects.filter(action="record_duplicate").exists()
    sim.api("DELETE", f"/v2/orders/{twin['id']}")
    sim.wait_for_status("ts-1-1-b", "canceled")
    assert shown(account) == {"our_order_unlinked": []}
    repair(account, sim)


def test_second_order_for_one_line_that_filled_is_recorded_by_a_person(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    placed(sim, client_order_id="ts-1-1-b")
    assert shown(account) == {"duplicate_submission": ["position_qty"]}
    (fix,) = repair(account, sim)
    assert (fix.is_safe_copy, Position.objects.get().qty) == (False, 20)


@pytest.mark.parametrize("other", ["ts-1-2-b", "ts-2-1-b"])
def test_two_lines_alike_are_two_orders(account: Account, sim: SimAccount, other: str) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    record_as(account, sim, placed(sim, client_order_id=other))
    assert reconcile(account).state == Run.State.IN_SYNC


# --- Orders that are gone ---------------------------------------------------------------------------------------


def test_order_that_alpaca_does_not_know_is_called_void_by_a_person(account: Account, sim: SimAccount) -> None:
    reconcile(account)  # binds the books to the account
    order = make_order(account, submitted_at=timezone.now(), recorded_at=timezone.now())
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    before = books()
    assert set(shown(account)) == {"order_missing_at_broker"}
    fixes = repair(account, sim)
    order.refresh_from_db()
    assert (order.submission_state, fixes[0].is_safe_copy) == ("rejected", False)
    assert order.refusal.startswith("Void: by its id")
    undo(fixes)
    assert books() == before


def test_missing_order_with_fills_is_not_called_void(account: Account) -> None:
    reconcile(account)
    order = make_order(account, submitted_at=timezone.now(), status="partially_filled", filled_qty="4")
    make_fill(order, qty="4", at=timezone.now() - timedelta(days=3))
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert "order_missing_at_broker" in shown(account)
    assert not Fix.objects.filter(action="void_order").exists()
