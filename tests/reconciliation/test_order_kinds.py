"""Each way in which orders drift apart, made for real at the simulator: seen, repaired, in step, and undone.

Following is at rest here: it runs in the worker, which these tests do not start. It would book late fills, busts of
live orders and changed states by itself; a run sees them when it comes first.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Order, OrderChange
from positions.models import Position
from positions.rebuilding import rebuild_positions
from reconciliation.models import Drift, Fix, Run
from reconciliation.undoing import undo_fix
from tests.factories import make_fill, make_order
from tests.reconciliation.steps import backfill_all, books, kinds, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount, wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


def shown(account: Account) -> dict[str, list[str]]:
    assert reconcile(account).state == Run.State.DRIFT
    return kinds(account)


def repair(account: Account, sim: SimAccount) -> list[Fix]:
    """Every fix applies and verifies, the next run is in sync, and positions are Alpaca's."""
    fixes = backfill_all(account).fixes
    assert fixes, "no fix was proposed"
    assert {fix.state for fix in fixes} == {Fix.State.VERIFIED}, [(fix.title, fix.outcome) for fix in fixes]
    assert reconcile(account).state == Run.State.IN_SYNC
    ours = {row.symbol: row.qty for row in Position.objects.filter(account=account).open()}
    assert ours == {row["symbol"]: Decimal(row["qty"]) for row in sim.api("GET", "/v2/positions")}
    return fixes


def undo(fixes: list[Fix]) -> None:
    for fix in reversed(fixes):
        undo_fix(fix=fix, actor="ops", now=timezone.now())


def working(account: Account, sim: SimAccount, **fields: Any) -> dict[str, Any]:
    """A limit order of ours that works and is recorded."""
    raw = placed(sim, **{"client_order_id": "ts-1-1-a", "type": "limit", "limit_price": "90", "wait": "new", **fields})
    record_as(account, sim, raw)
    return raw


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


# --- States -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending_new", "pending_cancel", "pending_replace"])
def test_order_between_states_for_too_long_is_stuck(account: Account, sim: SimAccount, status: str) -> None:
    raw = working(account, sim)
    since = timezone.now() - timedelta(minutes=6)
    sim.act("status", order_id=raw["id"], status=status, since=since.isoformat())
    Order.objects.update(status=status, broker_updated_at=since)
    assert shown(account) == {"stuck_order": []}
    (root,) = open_roots(account)
    assert "with the market open" in root.sentence
    assert not Fix.objects.exists()
    sim.act("status", order_id=raw["id"], status="new")
    Order.objects.update(status="new")
    assert reconcile(account).state == Run.State.IN_SYNC


def test_order_between_states_for_a_moment_is_not_stuck(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    sim.act("status", order_id=raw["id"], status="pending_cancel")
    Order.objects.update(status="pending_cancel")
    assert reconcile(account).state == Run.State.IN_SYNC


def test_terms_of_a_live_order_are_taken_over_by_a_person(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    before = books()
    sim.act("terms", order_id=raw["id"], qty="7", limit_price="88.50")
    assert shown(account) == {"terms_differ": []}
    (root,) = open_roots(account)
    assert (root.local, root.broker) == (
        {"qty": "10", "limit_price": "90"},
        {"qty": "7", "limit_price": "88.5"},
    )
    assert "qty 7 instead of 10, limit price 88.5 instead of 90. It can still fill." in root.sentence
    fixes = repair(account, sim)
    order = Order.objects.get()
    assert (order.qty, order.limit_price, fixes[0].is_safe_copy) == (7, Decimal("88.5"), False)
    undo(fixes)
    assert books() == before


def test_another_side_is_another_order(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    sim.act("terms", order_id=raw["id"], side="sell", limit_price="150")
    assert "This is another order than the one that was wanted." in _only_root(account, "terms_differ").sentence


def test_terms_that_moved_after_they_were_shown_are_not_written(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    sim.act("terms", order_id=raw["id"], limit_price="88.50")
    _only_root(account, "terms_differ")
    sim.act("terms", order_id=raw["id"], limit_price="87")
    (fix,) = backfill_all(account).fixes
    assert (fix.state, Order.objects.get().limit_price) == (Fix.State.STALE, 90)


def test_moving_stop_of_a_trailing_order_is_no_other_term(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    working(account, sim, client_order_id="ts-1-2-a", side="sell", type="trailing_stop", limit_price=None,
            trail_price="5")  # fmt: skip
    sim.price("QCOM", "110")
    assert reconcile(account).state == Run.State.IN_SYNC


@pytest.mark.parametrize("end", ["canceled", "expired", "rejected"])
def test_fill_after_the_end_is_late_and_booked(account: Account, sim: SimAccount, end: str) -> None:
    raw = working(account, sim)
    Order.objects.update(status=end)
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    before = books()
    sim.act("fill", order_id=raw["id"], price="90")
    assert shown(account) == {
        "late_fill": ["filled_qty_behind", "missing_fill", "position_broker_only", "status_behind"]
    }
    assert f"was {end} for us, and filled all the same" in open_roots(account)[0].sentence
    fixes = repair(account, sim)
    assert fixes[0].is_safe_copy
    undo(fixes)
    assert books() == before


def test_late_part_of_a_cancelled_order_is_booked_without_reviving_it(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    sim.act("fill", order_id=raw["id"], qty="4", price="90")
    sim.api("DELETE", f"/v2/orders/{raw['id']}")
    sim.wait_for_status("ts-1-1-a", "canceled")
    Order.objects.update(status="canceled")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert set(shown(account)) == {"late_fill"}
    repair(account, sim)
    assert Order.objects.values_list("status", "filled_qty").get() == ("canceled", 4)


def test_unknown_status_is_kept_and_ends_with_the_word(account: Account, sim: SimAccount) -> None:
    working(account, sim)
    sim.fault("unknown_status", "GET", "/v2/orders", status="frobbed", times=None)
    assert shown(account) == {"unknown_status": []}
    (root,) = open_roots(account)
    assert "'frobbed'" in root.sentence
    assert not Fix.objects.exists()
    # Whoever follows orders keeps the word as it came, and it is told all the same.
    Order.objects.update(status="frobbed")
    assert shown(account) == {"unknown_status": []}
    sim.clear_faults()
    Order.objects.update(status="new")
    assert reconcile(account).state == Run.State.IN_SYNC


def test_end_of_ours_is_not_taken_back_by_an_unknown_word(account: Account, sim: SimAccount) -> None:
    working(account, sim)
    Order.objects.update(status="canceled")
    sim.fault("unknown_status", "GET", "/v2/orders", status="frobbed", times=None)
    assert set(shown(account)) == {"unknown_status"}
    assert not Fix.objects.exists()


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


# --- Changes that Alpaca did not make -----------------------------------------------------------------------------


def test_rejected_replacement_leaves_the_order_as_it_was(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    before = books()
    sim.fault("reject_replacement", "PATCH")
    newer = sim.api("PATCH", f"/v2/orders/{raw['id']}", json={"limit_price": "91"})
    wait_for(lambda: sim.api("GET", f"/v2/orders/{newer['id']}")["status"] == "rejected" or None, "the rejection")
    assert shown(account) == {"refused_change": []}
    assert "Alpaca refused to replace buy 10 QCOM" in open_roots(account)[0].sentence
    fixes = repair(account, sim)
    assert Order.objects.get(broker_order_id=raw["id"]).status == "new"
    assert Order.objects.get(broker_order_id=newer["id"]).status == "rejected"
    undo(fixes)
    assert books() == before


@pytest.mark.parametrize(
    ("action", "wanted", "said"),
    [("cancel", {}, "was to be cancelled"), ("replace", {"limit_price": "91"}, "was to be changed to limit price 91")],
)
def test_change_that_we_believe_in_and_alpaca_does_not_show(
    account: Account, sim: SimAccount, action: str, wanted: dict[str, str], said: str
) -> None:
    raw = working(account, sim)
    change = OrderChange.objects.create(
        account=account, order=Order.objects.get(), broker_order_id=raw["id"], symbol="QCOM", action=action,
        wanted=wanted, state="done", requested_by="ops", requested_at=timezone.now(), settled_at=timezone.now(),
        outcome="Done.",
    )  # fmt: skip
    assert said in _only_root(account, "refused_change").sentence
    fixes = repair(account, sim)
    change.refresh_from_db()
    assert change.state == "refused"
    undo(fixes)
    change.refresh_from_db()
    assert (change.state, change.outcome) == ("done", "Done.")


def test_change_that_was_just_sent_is_given_time(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    change = OrderChange.objects.create(
        account=account, order=Order.objects.get(), broker_order_id=raw["id"], symbol="QCOM", action="cancel",
        state="unconfirmed", requested_by="ops", requested_at=timezone.now(),
    )  # fmt: skip
    assert reconcile(account).state == Run.State.IN_SYNC
    OrderChange.objects.filter(pk=change.pk).update(requested_at=timezone.now() - timedelta(minutes=3))
    assert _only_root(account, "refused_change")


def _only_root(account: Account, kind: str) -> Drift:
    assert list(shown(account)) == [kind]
    return open_roots(account)[0]
