"""Protection that drifted, made for real at the simulator: seen, repaired at Alpaca by whoever may, verified."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Order, OrderChange
from positions.models import Position
from reconciliation.applying import Applied, apply_approved, apply_fix
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from reconciliation.opposites import has_opposite, want_opposite
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import kinds, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount
from tradingsite.people import BROKER, OPS, ensure_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, settings: Any) -> Account:
    settings.NOT_PLACED_AFTER_SECONDS = 0.5
    open_books(sim_account)
    ensure_person(username="keeper", group=OPS)
    ensure_person(username="keeper", group=BROKER)
    ensure_person(username="ops", group=OPS)
    return sim_account


@pytest.fixture
def held(account: Account, sim: SimAccount) -> Account:
    """10 QCOM bought at 100: the plan is a stop at 92 and a target at 116."""
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    position = Position.objects.get()
    assert (position.stop_loss, position.target) == (Decimal(92), Decimal(116))
    return account


def plan(account: Account, name: str = "oco") -> None:
    account.protection_plan = name
    account.save()


def exit_order(account: Account, sim: SimAccount, *, wait: str = "new", **fields: Any) -> dict[str, Any]:
    """An exit that is in our books as it is at Alpaca."""
    wanted = {"side": "sell", "type": "stop", "stop_price": "92", "time_in_force": "gtc", **fields}
    raw = placed(sim, wait=wait, **{name: value for name, value in wanted.items() if value is not None})
    record_as(account, sim, raw)
    for leg in raw["legs"] or []:
        record_as(account, sim, sim.api("GET", f"/v2/orders/{leg['id']}"))
    return raw


def only_fix(account: Account) -> Fix:
    return Fix.objects.filter(account=account, acts_at_broker=True).proposed().get()


def act(account: Account, *, actor: str = "keeper") -> Applied:
    approve_fixes(fixes=[only_fix(account)], actor=actor, now=timezone.now())
    return apply_approved(account=account, actor=actor)


def assert_repaired_at_broker(account: Account) -> Fix:
    [fix] = act(account).fixes
    assert fix.state == Fix.State.VERIFIED, fix.outcome
    assert reconcile(account).state == Run.State.IN_SYNC, kinds(account)
    return fix


def live(sim: SimAccount) -> list[tuple[str, str, str | None]]:
    rows = sim.api("GET", "/v2/orders", params={"status": "all", "limit": 500})
    ended = {"filled", "canceled", "expired", "rejected", "replaced"}
    return sorted((row["type"], row["qty"], row["stop_price"]) for row in rows if row["status"] not in ended)


# --- Naked ----------------------------------------------------------------------------------------------------


def test_a_plan_that_is_only_recorded_is_no_drift(held: Account) -> None:
    assert reconcile(held).state == Run.State.IN_SYNC


@pytest.mark.parametrize("name", ["oco", "bracket"])
def test_naked_position_gets_stop_and_target_as_one_oco(held: Account, sim: SimAccount, name: str) -> None:
    plan(held, name)
    assert reconcile(held).state == Run.State.DRIFT
    assert kinds(held) == {"naked_position": []}
    [root] = open_roots(held)
    assert root.sentence == "10 QCOM are held and no live stop guards them. The plan is a stop at 92."
    assert root.dollars == 1000
    fix = assert_repaired_at_broker(held)
    assert (fix.acts_at_broker, fix.is_safe_copy) == (True, False)
    assert live(sim) == [("limit", "10", None), ("stop", "10", "92")]
    assert {order.origin for order in Order.objects.exclude(client_order_id="ts-1")} == {"protection"}
    with pytest.raises(FixRefused, match="cancel the order that it placed"):
        undo_fix(fix=fix, actor="keeper", now=timezone.now())


def test_short_position_is_guarded_from_above(account: Account, sim: SimAccount) -> None:
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1", side="sell"))
    plan(account)
    reconcile(account)
    assert kinds(account) == {"naked_position": []}
    assert_repaired_at_broker(account)
    assert live(sim) == [("limit", "10", None), ("stop", "10", "108")]


def test_no_stop_is_placed_that_would_sell_at_once(held: Account, sim: SimAccount) -> None:
    plan(held)
    sim.price("QCOM", "91")
    reconcile(held)
    assert kinds(held) == {"naked_position": []}
    assert not Fix.objects.exists()


def test_target_that_is_reached_is_left_out(held: Account, sim: SimAccount) -> None:
    plan(held)
    sim.price("QCOM", "117")
    reconcile(held)
    assert only_fix(held).plan[0]["target_price"] is None


def test_fraction_of_a_share_gets_a_stop_for_the_day(account: Account, sim: SimAccount) -> None:
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1", qty="2.5"))
    plan(account)
    reconcile(account)
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "2.5", "92")]


def test_no_stop_alone_beside_an_order_to_buy_which_alpaca_refuses(account: Account, sim: SimAccount) -> None:
    """Soak, seed 2012: the same refusal was proposed and approved ten times."""
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1", qty="2.5"))
    raw = placed(sim, client_order_id="ts-2", qty="1", type="limit", limit_price="80", time_in_force="gtc", wait="new")
    record_as(account, sim, raw)
    plan(account)
    reconcile(account)
    assert kinds(account) == {"naked_position": []}
    assert not Fix.objects.proposed().exists()
    sim.api("DELETE", f"/v2/orders/{raw['id']}")
    sim.wait_for_status("ts-2", "canceled")
    reconcile(account)
    assert [fix.action for fix in Fix.objects.proposed() if fix.acts_at_broker] == ["place_protection"]


def test_naked_position_follows_from_a_missing_order(account: Account, sim: SimAccount) -> None:
    plan(account)
    sim.price("QCOM", "100")
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    assert kinds(account) == {"our_order_unlinked": ["naked_position", "position_broker_only"]}
    assert not Fix.objects.filter(acts_at_broker=True).exists()


# --- Stops that are not right ---------------------------------------------------------------------------------


def test_stop_for_fewer_shares_is_replaced(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, qty="6")
    assert reconcile(held).state == Run.State.DRIFT
    assert kinds(held) == {"stop_qty": []}
    assert_repaired_at_broker(held)
    assert live(sim) == [("stop", "10", "92")]
    replaced = Order.objects.get(status="replaced")
    assert Order.objects.get(replaces=replaced.broker_order_id).client_order_id.startswith("ts-p-fix")


def test_beside_a_pair_the_rest_gets_a_pair_of_its_own(held: Account, sim: SimAccount) -> None:
    exit_order(
        held, sim, qty="6", type="limit", stop_price=None, order_class="oco", take_profit={"limit_price": "116"},
        stop_loss={"stop_price": "92"},
    )  # fmt: skip
    reconcile(held)
    assert kinds(held) == {"stop_qty": []}
    assert_repaired_at_broker(held)
    assert live(sim) == [("limit", "4", None), ("limit", "6", None), ("stop", "4", "92"), ("stop", "6", "92")]


def test_stop_at_another_price_is_moved_to_the_plan(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, stop_price="80")
    reconcile(held)
    assert kinds(held) == {"stop_price": []}
    assert open_roots(held)[0].sentence == "The stop to sell 10 QCOM at 80 is live; the plan says 92."
    assert_repaired_at_broker(held)
    assert live(sim) == [("stop", "10", "92")]


def test_too_few_at_the_wrong_price_is_one_repair(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, qty="6", stop_price="80")
    reconcile(held)
    assert kinds(held) == {"stop_qty": ["stop_price"]}
    assert_repaired_at_broker(held)
    assert live(sim) == [("stop", "10", "92")]


def test_stop_limit_keeps_the_distance_of_its_prices(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, type="stop_limit", stop_price="80", limit_price="79.50")
    reconcile(held)
    assert_repaired_at_broker(held)
    assert Order.objects.get(status="new").limit_price == Decimal("91.5")


def test_stop_of_an_oto_is_not_replaced_because_alpaca_does_not(account: Account, sim: SimAccount) -> None:
    sim.price("QCOM", "100")
    entry = {"side": "buy", "type": "market", "stop_price": None, "order_class": "oto"}
    exit_order(account, sim, wait="filled", stop_loss={"stop_price": "80"}, **entry)
    plan(account)
    reconcile(account)
    assert "stop_price" in kinds(account)
    assert not Fix.objects.filter(action="replace_order").exists()


def test_stop_that_waits_for_the_market_to_open_is_replaced_when_it_does(held: Account, sim: SimAccount) -> None:
    sim.act("clock", mode="closed")
    exit_order(held, sim, wait="accepted", qty="6")
    reconcile(held)
    assert "stop_qty" in kinds(held)
    assert not Fix.objects.filter(action="replace_order").exists()


def test_day_stop_under_a_position_held_overnight(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, time_in_force="day")
    assert reconcile(held).state == Run.State.IN_SYNC
    Position.objects.update(opened_at=timezone.now() - timedelta(days=2))
    reconcile(held)
    assert kinds(held) == {"wrong_stop": []}
    assert "ends at the close" in open_roots(held)[0].sentence
    assert_repaired_at_broker(held)
    assert sim.api("GET", "/v2/orders")[0]["time_in_force"] == "gtc"


def test_target_missing_has_no_repair_that_leaves_no_gap(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim)
    assert reconcile(held).state == Run.State.IN_SYNC
    plan(held)
    reconcile(held)
    assert kinds(held) == {"target_missing": []}
    assert not Fix.objects.exists()


# --- Exits for shares that nobody has -------------------------------------------------------------------------


def orphaned(account: Account, sim: SimAccount, *, position: str = "0", orders: list[dict[str, Any]]) -> None:
    """Live exits at Alpaca, more than the position needs; both sides agree on everything else."""
    at = (timezone.now() - timedelta(minutes=5)).isoformat()
    document: dict[str, Any] = {"cash": "100000", "created_at": "2025-01-02T15:00:00Z", "orders": []}
    if position != "0":
        document["orders"].append(
            {
                "client_order_id": "ts-1", "symbol": "QCOM", "side": "buy", "qty": position, "type": "market",
                "status": "filled", "filled_avg_price": "100", "submitted_at": at, "filled_at": at,
            }
        )  # fmt: skip
    shared = {"symbol": "QCOM", "side": "sell", "qty": "10", "type": "stop", "stop_price": "92", "status": "new",
              "time_in_force": "gtc", "position_intent": "sell_to_close", "submitted_at": at}  # fmt: skip
    document["orders"] += [{**shared, **order} for order in orders]
    sim.price("QCOM", "100")
    sim.simulator.admin("state", {"accounts": {sim.key_id: document}})
    for raw in sim.api("GET", "/v2/orders", params={"status": "all"}):
        record_as(account, sim, raw)
    Position.objects.filter(state="pending").delete()


def test_stop_without_a_position_is_cancelled(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, orders=[{"client_order_id": "ts-stop"}])
    reconcile(account)
    assert kinds(account) == {"orphan_exit": []}
    [root] = open_roots(account)
    assert root.sentence == (
        "The stop to sell 10 QCOM at 92 is live, but no such shares are held: its fill would open a position."
    )
    assert root.severity == "critical"
    assert_repaired_at_broker(account)
    assert live(sim) == []


def test_limit_for_more_than_is_held_beside_a_stop(account: Account, sim: SimAccount) -> None:
    limit = {"client_order_id": "ts-limit", "type": "limit", "stop_price": None, "limit_price": "116", "qty": "4"}
    orphaned(account, sim, position="10", orders=[{"client_order_id": "ts-stop"}, limit])
    reconcile(account)
    assert kinds(account) == {"orphan_exit": []}
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "10", "92")]


def test_more_stops_than_shares_the_one_off_the_plan_goes(account: Account, sim: SimAccount) -> None:
    orphaned(
        account, sim, position="10",
        orders=[{"client_order_id": "ts-stop"}, {"client_order_id": "ts-more", "stop_price": "80"}],
    )  # fmt: skip
    reconcile(account)
    assert kinds(account) == {"double_protection": ["stop_price"]}
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "10", "92")]


def test_one_stop_for_more_than_is_held_is_made_smaller(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, position="4", orders=[{"client_order_id": "ts-stop"}])
    reconcile(account)
    assert kinds(account) == {"stop_qty": []}
    assert_repaired_at_broker(account)
    assert live(sim) == [("stop", "4", "92")]


def pair(**target: Any) -> list[dict[str, Any]]:
    group = {"order_class": "oco", "group_id": "00000000-0000-4000-8000-000000000001"}
    return [
        {**group, "client_order_id": "ts-target", "type": "limit", "limit_price": "116", "stop_price": None,
         "group_role": "take_profit", **target},
        {**group, "client_order_id": "ts-stop", "group_role": "stop_loss"},
    ]  # fmt: skip


def test_half_of_a_pair_that_lives_after_the_other_was_filled(account: Account, sim: SimAccount) -> None:
    at = timezone.now().isoformat()
    sold = {"status": "filled", "filled_avg_price": "116", "filled_at": at}
    orphaned(account, sim, position="10", orders=pair(**sold))
    reconcile(account)
    assert kinds(account) == {"broken_oco": []}
    assert "116 was filled, and the other half of the pair is still live" in open_roots(account)[0].sentence
    assert_repaired_at_broker(account)
    assert live(sim) == []


def test_both_halves_filled_is_for_a_person(account: Account, sim: SimAccount) -> None:
    at = timezone.now().isoformat()
    sold = {"status": "filled", "filled_avg_price": "100", "filled_at": at}
    orders = [{**order, **sold} for order in pair()]
    orphaned(account, sim, position="10", orders=orders)
    reconcile(account)
    assert kinds(account) == {"broken_oco": []}
    assert "were both filled" in open_roots(account)[0].sentence
    assert not Fix.objects.exists()


def test_partly_filled_bracket_gets_a_stop_for_what_is_filled(account: Account, sim: SimAccount) -> None:
    sim.price("QCOM", "100")
    raw = exit_order(
        account, sim, side="buy", type="limit", limit_price="99", stop_price=None, order_class="bracket",
        take_profit={"limit_price": "120"}, stop_loss={"stop_price": "90"},
    )  # fmt: skip
    sim.act("fill", order_id=raw["id"], qty="4", price="99")
    record_as(account, sim, sim.api("GET", f"/v2/orders/{raw['id']}"))
    reconcile(account)
    assert kinds(account) == {"partial_bracket": []}
    assert_repaired_at_broker(account)
    assert ("stop", "4", "91.08") in live(sim)


# --- Who may, and what Alpaca says ----------------------------------------------------------------------------


def test_without_the_permission_nothing_is_approved(held: Account) -> None:
    plan(held)
    reconcile(held)
    with pytest.raises(FixRefused, match=r"ops may not approve\. keeper may"):
        act(held, actor="ops")
    assert only_fix(held).state == Fix.State.PROPOSED


def test_what_alpaca_refuses_has_failed_for_its_reason(held: Account, sim: SimAccount) -> None:
    plan(held)
    reconcile(held)
    sim.fault("status", "POST", "/v2/orders", status=403, body='{"code": 40310000, "message": "no stops today"}')
    [fix] = act(held).fixes
    assert fix.state == Fix.State.FAILED
    assert "no stops today" in fix.outcome
    # The difference stands, and the next run proposes anew.
    assert kinds(held) == {"naked_position": []}
    assert only_fix(held).pk != fix.pk


def test_kill_switch_holds_what_places_and_lets_cancels_pass(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, orders=[{"client_order_id": "ts-stop"}])
    Account.objects.update(sending_halted=True)
    reconcile(account)
    assert_repaired_at_broker(account)


def test_sending_is_halted(held: Account, sim: SimAccount) -> None:
    plan(held)
    reconcile(held)
    Account.objects.update(sending_halted=True)
    [fix] = act(held).fixes
    assert fix.state == Fix.State.STALE
    assert "Sending is halted" in fix.outcome
    assert live(sim) == []


def test_lost_answer_is_settled_and_verified_later(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, stop_price="80")
    reconcile(held)
    sim.fault("drop_answer", "PATCH")
    act(held)
    for _ in range(20):
        apply_approved(account=held, actor="keeper")
        fix = Fix.objects.get(acts_at_broker=True)
        if fix.state != Fix.State.APPLIED:
            break
    assert fix.state == Fix.State.VERIFIED, fix.outcome
    assert len(sim.requests("PATCH")) == 1
    assert OrderChange.objects.get().state == "done"
    assert reconcile(held).state == Run.State.IN_SYNC


def test_process_that_dies_after_the_commit_leaves_it_to_the_next(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, stop_price="80")
    reconcile(held)
    approve_fixes(fixes=[only_fix(held)], actor="keeper", now=timezone.now())
    fix = Fix.objects.get(acts_at_broker=True)
    assert apply_fix(fix=fix, now=timezone.now())
    assert not apply_fix(fix=fix, now=timezone.now())
    assert (OrderChange.objects.get().state, sim.requests("PATCH")) == ("recorded", [])
    # While it is under way no run calls it failed, and nobody proposes it again.
    reconcile(held)
    fix.refresh_from_db()
    assert fix.state == Fix.State.APPLIED
    assert Fix.objects.filter(acts_at_broker=True).count() == 1
    apply_approved(account=held, actor="keeper")
    fix.refresh_from_db()
    assert fix.state == Fix.State.VERIFIED, fix.outcome
    assert len(sim.requests("PATCH")) == 1


def test_zombie_can_be_cancelled_instead_of_reopened(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", time_in_force="gtc", wait="new")
    record_as(account, sim, raw)
    Order.objects.update(status="canceled", broker_updated_at=None)
    reconcile(account)
    assert kinds(account) == {"zombie_order": []}
    assert sorted(Fix.objects.proposed().values_list("action", flat=True)) == ["cancel_order", "restate_order"]
    [fix] = act(account).fixes
    assert fix.state == Fix.State.VERIFIED, fix.outcome
    assert live(sim) == []
    assert reconcile(account).state == Run.State.IN_SYNC
    assert Fix.objects.get(action="restate_order").state in {Fix.State.WITHDRAWN, Fix.State.STALE}


# --- The way back ---------------------------------------------------------------------------------------------


def want_back(fix: Fix, *, actor: str = "keeper") -> None:
    want_opposite(fix=fix, actor=actor, reason="not meant", now=timezone.now())


def test_opposite_of_placing_is_another_fix_that_cancels(held: Account, sim: SimAccount) -> None:
    plan(held)
    reconcile(held)
    placed_by = assert_repaired_at_broker(held)
    with pytest.raises(FixRefused, match="ops may not approve"):
        want_back(placed_by, actor="ops")
    assert has_opposite(placed_by)
    want_back(placed_by)
    assert not has_opposite(placed_by)
    with pytest.raises(FixRefused, match="no opposite"):
        want_back(placed_by)
    reconcile(held)
    opposite = only_fix(held)
    assert (opposite.action, opposite.key) == ("cancel_order", f"{placed_by.key}:opposite:{placed_by.pk}")
    [ended] = act(held).fixes
    assert ended.state == Fix.State.VERIFIED, ended.outcome
    assert live(sim) == []
    # The plan wants a stop again, and the old wish asks for nothing more.
    assert kinds(held) == {"naked_position": []}
    assert only_fix(held).action == "place_protection"


def test_opposite_of_replacing_goes_back_to_the_old_terms(held: Account, sim: SimAccount) -> None:
    exit_order(held, sim, stop_price="80")
    reconcile(held)
    want_back(assert_repaired_at_broker(held))
    reconcile(held)
    assert only_fix(held).title == "Replace the order in QCOM back: stop at 80"
    act(held)
    assert live(sim) == [("stop", "10", "80")]
    assert kinds(held) == {"stop_price": []}


def test_a_cancelled_order_does_not_come_back(account: Account, sim: SimAccount) -> None:
    orphaned(account, sim, orders=[{"client_order_id": "ts-stop"}])
    reconcile(account)
    fix = assert_repaired_at_broker(account)
    with pytest.raises(FixRefused, match="a new one must be sent"):
        want_back(fix)


def test_opposite_that_lost_its_order_is_withdrawn(held: Account, sim: SimAccount) -> None:
    plan(held)
    reconcile(held)
    want_back(assert_repaired_at_broker(held))
    plan(held, "record_only")
    reconcile(held)
    opposite = only_fix(held)
    [parent] = [row for row in sim.api("GET", "/v2/orders") if row["type"] == "limit"]
    sim.act("cancel", order_id=parent["id"])
    reconcile(held)
    opposite.refresh_from_db()
    assert opposite.state == Fix.State.WITHDRAWN


def test_run_while_a_zombie_is_being_cancelled_calls_nothing_failed(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", time_in_force="gtc", wait="new")
    record_as(account, sim, raw)
    Order.objects.update(status="canceled", broker_updated_at=None)
    reconcile(account)
    approve_fixes(fixes=[only_fix(account)], actor="keeper", now=timezone.now())
    fix = Fix.objects.get(acts_at_broker=True)
    apply_fix(fix=fix, now=timezone.now())
    reconcile(account)
    fix.refresh_from_db()
    assert (fix.state, fix.outcome) == (Fix.State.APPLIED, "")
    apply_approved(account=account, actor="keeper")
    fix.refresh_from_db()
    assert fix.state == Fix.State.VERIFIED, fix.outcome
    assert live(sim) == []
