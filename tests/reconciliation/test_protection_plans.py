"""Each protection plan from the batch to the protected position, its stop hit, and the profit that is left."""

import signal
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import ProtectionPlan
from orders.change_sending import carry_out_changes
from orders.checking import check_batch
from orders.following import follow_orders
from orders.halting import halt_sending, resume_sending
from orders.models import Order, OrderChange
from orders.recording import record_batch
from orders.releasing import release_batch
from orders.sending import execute_batch
from positions import protecting
from positions.models import Crossing, Position
from positions.protecting import has_positions_to_protect, protect_positions, troubles
from reconciliation.models import Run
from reconciliation.protection import Coverage
from reconciliation.protection_board import protection_board
from reconciliation.refreshing import refresh_account
from tests.orders.conftest import orders_at_broker
from tests.orders.processes import end, start_module
from tests.reconciliation.plan_worker import pass_by
from tests.reconciliation.steps import kinds, open_books, reconcile
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

ONE = "symbol,side,qty\nQCOM,buy,10\n"


@pytest.fixture(autouse=True)
def _no_quiet_after_fills(monkeypatch):
    monkeypatch.setattr(protecting, "QUIET", timedelta(0))


@pytest.fixture
def account(sim, sim_account):
    sim.price("QCOM", "100")
    open_books(sim_account)
    return sim_account


def choose(account, plan):
    account.protection_plan = plan
    account.save()


def send(account, text=ONE):
    now = timezone.now()
    checked = check_batch(account=account, data=text.encode(), filename="plan.csv", now=now)
    assert checked.errors == ()
    batch = record_batch(account=account, checked=checked, actor="ops", now=now, scheduled_for=None)
    release_batch(batch=batch, actor="ops", now=now)
    execute_batch(batch_id=batch.pk, now=now)
    return batch


def until(account, done, what):
    def look_again():
        pass_by(account)
        return done()

    return wait_for(look_again, what)


def position():
    return Position.objects.get()


def live_exits(sim):
    live = ("new", "accepted", "held", "partially_filled")
    return sorted(
        (row["type"], row["qty"], row["stop_price"] or row["limit_price"], row["status"])
        for row in orders_at_broker(sim)
        if row["side"] == "sell" and row["status"] in live
    )


def coverage(account):
    [row] = protection_board(account, timezone.now()).rows
    return row.protection.coverage


def assert_quiet(account):
    """Once the sweeps have seen what is there now, the next comparison finds nothing at all."""
    wait_for(lambda: pass_by(account) == 0, "a pass with nothing to do")
    pass_by(account)
    run = reconcile(account)
    assert (run.state, kinds(account)) == (Run.State.IN_SYNC, {})


def hit_the_stop(sim, account, price="91"):
    sim.price("QCOM", price)
    until(account, lambda: position().state == "closed", "the stop")


# --- record_only ----------------------------------------------------------------------------------------------


def test_record_only_alerts_and_sends_nothing(sim, account):
    send(account)
    until(account, lambda: position().state == "open", "the entry")
    sim.price("QCOM", "91")
    refresh_account(account=account, now=timezone.now())
    [crossing] = Crossing.objects.all()
    assert (crossing.level, crossing.level_price, crossing.price) == ("stop", Decimal(92), Decimal(91))
    pass_by(account)
    assert len(orders_at_broker(sim)) == 1
    assert Order.objects.count() == 1


# --- bracket --------------------------------------------------------------------------------------------------


def test_a_bracket_is_protected_from_its_fill_on_and_its_stop_closes_it(sim, account):
    choose(account, ProtectionPlan.BRACKET)
    send(account)
    until(account, lambda: position().state == "open", "the entry")
    until(account, lambda: len(live_exits(sim)) == 2, "its exits")
    assert live_exits(sim) == [("limit", "10", "116", "new"), ("stop", "10", "92", "held")]
    row = position()
    assert (row.stop_loss, row.target, row.total_risk) == (Decimal(92), Decimal(116), Decimal(80))
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED
    hit_the_stop(sim, account)
    assert position().realized_pl == Decimal(-90)
    assert_quiet(account)


def test_a_bracket_filled_off_its_reference_keeps_the_exits_that_were_sent(sim, account):
    """The price moves between the check and the fill: the plan is what Alpaca has, and the risk is what it is."""
    choose(account, ProtectionPlan.BRACKET)
    now = timezone.now()
    checked = check_batch(account=account, data=ONE.encode(), filename="plan.csv", now=now)
    sim.price("QCOM", "98.5")
    batch = record_batch(account=account, checked=checked, actor="ops", now=now, scheduled_for=None)
    release_batch(batch=batch, actor="ops", now=now)
    execute_batch(batch_id=batch.pk, now=now)
    until(account, lambda: position().state == "open" and len(live_exits(sim)) == 2, "the entry")
    row = position()
    assert (row.avg_entry_price, row.stop_loss, row.target) == (Decimal("98.5"), Decimal(92), Decimal(116))
    assert (row.risk_per_share, row.total_risk, row.stop_loss_pct) == (Decimal("6.5"), Decimal(65), Decimal("6.6"))
    assert row.parameters_from == f"the bracket of order {batch.orders.get().pk}"
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED


def test_what_adds_to_a_bracket_has_the_same_exits_and_both_are_covered(sim, account):
    choose(account, ProtectionPlan.BRACKET)
    send(account)
    until(account, lambda: position().state == "open" and len(live_exits(sim)) == 2, "the entry")
    sim.price("QCOM", "105")
    send(account, "symbol,side,qty\nQCOM,buy,4\n")
    until(account, lambda: position().qty == 14 and len(live_exits(sim)) == 4, "the addition")
    assert {price for _type, _qty, price, _status in live_exits(sim)} == {"92", "116"}
    assert position().stop_loss == 92
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED
    hit_the_stop(sim, account)
    assert_quiet(account)


# --- oco ------------------------------------------------------------------------------------------------------


@pytest.fixture
def oco(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account)
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")
    return account


def test_an_oco_follows_the_fill_and_its_stop_closes_the_position(sim, oco):
    assert live_exits(sim) == [("limit", "10", "116", "new"), ("stop", "10", "92", "held")]
    entry = AuditEntry.objects.get(action="protection.recorded")
    assert (entry.actor, entry.subject_id) == ("system", str(position().pk))
    assert pass_by(oco) == 0
    assert_quiet(oco)
    assert coverage(oco) == Coverage.COVERED
    assert troubles(oco, timezone.now()) == []
    hit_the_stop(sim, oco)
    assert position().realized_pl == Decimal(-90)
    assert_quiet(oco)
    assert pass_by(oco) == 0
    assert AuditEntry.objects.filter(action__startswith="protection.").count() == 1


def test_its_target_closes_the_position_with_profit(sim, oco):
    sim.price("QCOM", "117")
    until(oco, lambda: position().state == "closed", "the target")
    assert position().realized_pl == Decimal(170)
    assert live_exits(sim) == []
    assert_quiet(oco)


def test_a_short_is_mirrored(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account, "symbol,side,qty\nQCOM,sell,10\n")
    until(account, lambda: Order.objects.filter(origin="protection", status="new").exists(), "the exits")
    oco = Order.objects.get(order_class="oco", order_type="limit")
    assert (oco.side, oco.stop_loss_stop_price, oco.limit_price) == ("buy", Decimal(108), Decimal(84))
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED
    sim.price("QCOM", "109")
    until(account, lambda: position().state == "closed", "the stop")
    assert position().realized_pl == Decimal(-90)
    assert_quiet(account)


def test_more_fills_get_an_oco_of_their_own_and_the_first_stays(sim, oco):
    send(oco, "symbol,side,qty\nQCOM,buy,5\n")
    until(oco, lambda: len(live_exits(sim)) == 4, "the second one")
    assert live_exits(sim) == [
        ("limit", "10", "116", "new"), ("limit", "5", "116", "new"), ("stop", "10", "92", "held"),
        ("stop", "5", "92", "held"),
    ]  # fmt: skip
    assert not OrderChange.objects.exists()
    assert [order.client_order_id.split("-")[2][-2:] for order in plan_orders()] == ["g1", "g2"]
    assert_quiet(oco)
    assert coverage(oco) == Coverage.COVERED
    hit_the_stop(sim, oco)
    assert position().realized_pl == Decimal(-135)
    assert_quiet(oco)


def test_more_fills_at_another_price_move_the_levels_of_all(sim, oco):
    sim.price("QCOM", "103")
    send(oco, "symbol,side,qty\nQCOM,buy,5\n")  # on average 101
    until(oco, lambda: live_exits(sim) == [("limit", "15", "117.16", "new"), ("stop", "15", "92.92", "held")], "one")
    assert OrderChange.objects.get().state == "done"
    assert_quiet(oco)
    assert coverage(oco) == Coverage.COVERED


def plan_orders():
    return list(Order.objects.filter(client_order_id__startswith="ts-p-position").order_by("pk"))


def test_partial_fills_end_in_exits_for_all_of_it(sim, account):
    choose(account, ProtectionPlan.OCO)
    sim.configure(partial_fills=True, fill_delay_ms=200)
    send(account)
    sim.configure(partial_fills=False)
    until(account, lambda: sum(int(qty) for _type, qty, *_rest in live_exits(sim)) == 20, "the exits of all of it")
    assert position().qty == 10
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED


def test_new_levels_on_an_open_position_are_placed_anew(sim, oco):
    from positions.parameters import change_parameters

    change_parameters(
        account=oco, symbol="QCOM", stop_loss_pct=Decimal(5), target_pct=Decimal(10), actor="admin",
        now=timezone.now(), apply_to_open=True,
    )  # fmt: skip
    until(oco, lambda: live_exits(sim) == [("limit", "10", "110", "new"), ("stop", "10", "95", "held")], "the new one")
    assert_quiet(oco)


def test_while_the_market_is_closed_alpaca_keeps_the_exits_until_it_opens(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account)
    until_open(account)
    sim.act("clock", mode="closed")
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")
    assert [status for *_rest, status in live_exits(sim)] == ["accepted", "held"]
    assert pass_by(account) == 0
    sim.price("QCOM", "91")
    assert len(live_exits(sim)) == 2
    sim.act("clock", mode="open", follow=True)
    until(account, lambda: position().state == "closed", "the stop")


def test_only_whole_shares_are_placed_and_the_rest_is_told(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account, "symbol,side,qty\nQCOM,buy,10.5\n")
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")
    assert live_exits(sim)[0][1] == "10"
    [(row, text)] = troubles(account, timezone.now())
    assert (row, text) == (
        position(), "0.5 QCOM has no exits at Alpaca, which takes whole shares only in an OCO."
    )  # fmt: skip
    # No order that Alpaca takes could guard half a share for good: the board says so, and it is no drift for ever.
    assert reconcile(account).state == Run.State.IN_SYNC
    assert coverage(account) == Coverage.PARTLY


def test_what_is_closed_by_hand_takes_its_oco_along(sim, oco):
    """Shown on the rows alone: Alpaca itself sells nothing that its exits hold."""
    pass_by(oco)
    Position.objects.update(state="closed", qty=0, closed_at=timezone.now())
    assert [protect_positions(account=oco, now=timezone.now()) for _ in range(2)] == [1, 0]
    wanted = OrderChange.objects.get()
    assert (wanted.order, wanted.action) == (plan_orders()[0], "cancel")
    assert AuditEntry.objects.get(action="protection.cancel_recorded").actor == "system"


def test_exits_of_shares_that_only_our_books_lost_stay(sim, oco):
    """A copy was undone, a fill is not booked yet: what guards shares at Alpaca is not cancelled for it, nor asked
    for at every pass."""
    pass_by(oco)
    before = live_exits(sim)
    Position.objects.update(state="closed", qty=0, closed_at=timezone.now())
    for _ in range(3):
        protect_positions(account=oco, now=timezone.now())
        carry_out_changes(account_id=oco.pk, now=timezone.now())
    [change] = OrderChange.objects.all()
    assert (change.state, live_exits(sim)) == ("refused", before)
    assert "its exits stay" in change.outcome
    assert sim.requests("DELETE") == []


def test_less_than_a_share_is_left_to_a_person(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account, "symbol,side,qty\nQCOM,buy,0.5\n")
    until(account, lambda: position().state == "open", "the entry")
    assert pass_by(account) == 0
    assert plan_orders() == []
    assert len(troubles(account, timezone.now())) == 1


def test_while_sending_is_halted_nothing_is_placed(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account)
    halt_sending(account=account, actor="ops", reason="wait", now=timezone.now())
    until_open(account)
    assert [pass_by(account) for _ in range(2)] == [0, 0]
    assert plan_orders() == []
    assert not has_positions_to_protect(account, timezone.now())
    resume_sending(account=account, actor="ops", reason="go on", now=timezone.now())
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")


def until_open(account):
    def look_at_it():
        follow_orders(account_id=account.pk, now=timezone.now())
        return position().state == "open"

    wait_for(look_at_it, "the entry")


def test_a_refusal_is_told_and_not_tried_again(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account)
    until_open(account)
    body = {"code": 40310000, "message": "account is not allowed to short"}
    sim.fault("status", "POST", "/v2/orders", status=403, body=body)
    for _ in range(3):
        pass_by(account)
    [order] = plan_orders()
    assert order.submission_state == "rejected"
    [(_row, text)] = troubles(account, timezone.now())
    assert text.startswith("The exits of QCOM are not at Alpaca: they were refused by Alpaca: ")


def test_what_a_person_cancelled_is_not_placed_again(sim, oco):
    theirs = next(row for row in orders_at_broker(sim) if row["order_class"] == "oco" and row["type"] == "limit")
    sim.api("DELETE", f"/v2/orders/{theirs['id']}")
    until(oco, lambda: plan_orders()[0].status == "canceled", "the cancel")
    assert pass_by(oco) == 0
    [(_row, text)] = troubles(oco, timezone.now())
    assert text == "The exits of QCOM are not at Alpaca: they were canceled at Alpaca, not by this program."
    send(oco, "symbol,side,qty\nQCOM,buy,5\n")  # another wish
    until(oco, lambda: len(live_exits(sim)) == 2, "the exits of more")
    assert live_exits(sim)[0][1] == "15"
    assert len(troubles(oco, timezone.now())) == 0


# --- Killed, and two at the same time -------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["before_exits_commit", "after_exits_commit", "after_claim", "after_answer"])
def test_killed_at_any_step_there_is_one_oco(sim, account, settings, point):
    settings.NOT_PLACED_AFTER_SECONDS, settings.NOT_PLACED_LOOKUPS = 0.5, 2
    choose(account, ProtectionPlan.OCO)
    send(account)
    until_open(account)
    status, output = end(start_module(sim, "tests.reconciliation.plan_worker", CRASH_POINT=point))
    assert status == -signal.SIGKILL, output
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")
    assert len([row for row in orders_at_broker(sim) if row["order_class"] == "oco"]) == 2
    assert len(plan_orders()) == 1
    assert AuditEntry.objects.filter(action="protection.recorded").count() == 1
    assert_quiet(account)
    assert coverage(account) == Coverage.COVERED


def test_two_workers_place_one_oco(sim, account):
    choose(account, ProtectionPlan.OCO)
    send(account)
    until_open(account)
    workers = [start_module(sim, "tests.reconciliation.plan_worker") for _ in range(2)]
    assert [end(worker)[0] for worker in workers] == [0, 0]
    until(account, lambda: len(live_exits(sim)) == 2, "the exits")
    assert len(plan_orders()) == 1
    assert_quiet(account)
