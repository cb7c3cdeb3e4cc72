"""Fills that were taken back, corrected, guessed, or do not add up, and positions that do not say how they ended."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.following import look
from orders.models import Fill, Order
from positions.models import Position
from positions.rebuilding import rebuild_positions
from reconciliation.models import Drift, Fix, IgnoreRule, ReadingCursor, Run
from tests.factories import make_adjustment
from tests.reconciliation.mending import repair, shown, undo
from tests.reconciliation.steps import books, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


# --- Busts and corrections --------------------------------------------------------------------------------------


@pytest.mark.parametrize("remove", [True, False])
def test_bust_takes_the_fill_and_the_order_back_in_one_fix(account: Account, sim: SimAccount, remove: bool) -> None:
    raw = placed(sim, client_order_id="ts-1-1-a")
    record_as(account, sim, raw)
    before = books()
    sim.act("bust", order_id=raw["id"], remove=remove)
    assert shown(account) == {"fill_busted": ["filled_qty_ahead", "position_database_only"]}
    (root,) = open_roots(account)
    assert root.sentence == "Alpaca took a fill back: buy 10 QCOM at 100."
    assert root.broker["qty"] == ("0" if remove else "-10")
    fixes = repair(account, sim)
    assert [fix.is_safe_copy for fix in fixes] == [False]
    assert (Order.objects.get().filled_qty, Fill.objects.count()) == (0, 0)
    undo(fixes)
    assert books() == before


def test_bust_of_one_part_leaves_the_other(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1-1-a", type="limit", limit_price="90", wait="new")
    for qty in ("4", "6"):
        sim.act("fill", order_id=raw["id"], qty=qty, price="90")
    record_as(account, sim, sim.order("ts-1-1-a"))
    sim.act("bust", order_id=raw["id"])
    assert shown(account) == {"fill_busted": ["filled_qty_ahead", "position_qty"]}
    repair(account, sim)
    assert Fill.objects.values_list("qty", flat=True).get() == 4


def test_both_parts_busted_are_two_fixes(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1-1-a", type="limit", limit_price="90", wait="new")
    for qty in ("4", "6"):
        sim.act("fill", order_id=raw["id"], qty=qty, price="90")
    record_as(account, sim, sim.order("ts-1-1-a"))
    before = books()
    for activity in sim.api("GET", "/v2/account/activities/FILL"):
        sim.act("bust", activity_id=activity["id"])
    assert shown(account).keys() == {"fill_busted"}
    assert len(open_roots(account)) == 2
    fixes = repair(account, sim)
    assert len(fixes) == 2
    undo(fixes)
    assert books() == before


def test_corrected_trade_is_taken_out_and_booked_anew_as_a_pair(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1-1-a")
    record_as(account, sim, raw)
    before = books()
    sim.act("correct", order_id=raw["id"], price="99")
    assert shown(account) == {"fill_busted": ["missing_fill", "position_avg_price"]}
    assert "and booked 10 at 99.00 instead" in open_roots(account)[0].sentence
    fixes = repair(account, sim)
    assert Fill.objects.values_list("price", flat=True).get() == 99
    assert Position.objects.get().avg_entry_price == 99
    undo(fixes)
    assert books() == before


def test_bust_that_following_booked_on_the_order_first_is_still_a_bust(account: Account, sim: SimAccount) -> None:
    """A live order is followed: its filled quantity is Alpaca's before a run looks, and only the fill is left."""
    raw = placed(sim, client_order_id="ts-1-1-a", type="limit", limit_price="90", wait="new")
    sim.act("fill", order_id=raw["id"], qty="4", price="90")
    record_as(account, sim, sim.order("ts-1-1-a"))
    sim.act("bust", order_id=raw["id"])
    Order.objects.update(filled_qty=Decimal(0), filled_avg_price=None)
    assert set(shown(account)) == {"fill_busted"}
    repair(account, sim)
    assert not Fill.objects.exists()


def test_following_does_not_book_a_busted_fill_again(account: Account, sim: SimAccount) -> None:
    """The list of the order's fills shows the execution and its reversal: the two together are none."""
    raw = placed(sim, client_order_id="ts-1-1-a", type="limit", limit_price="90", wait="new")
    sim.act("fill", order_id=raw["id"], qty="4", price="90")
    record_as(account, sim, sim.order("ts-1-1-a"))
    sim.act("bust", order_id=raw["id"])
    shown(account)
    repair(account, sim)
    sim.act("fill", order_id=raw["id"], qty="3", price="90")
    assert look(account=account, orders=list(Order.objects.all()), now=timezone.now())
    assert list(Fill.objects.values_list("qty", flat=True)) == [3]
    assert reconcile(account).state == Run.State.IN_SYNC


def test_fill_that_never_was_is_no_bust(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    fill = Fill.objects.get()
    fill.pk, fill.activity_id = None, "invented"
    fill.save(force_insert=True)
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert shown(account) == {"phantom_fill": ["position_qty"]}
    repair(account, sim)


# --- Sums -------------------------------------------------------------------------------------------------------


def test_fills_that_alpaca_has_not_listed_yet_do_not_add_up(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"), with_fills=False)
    sim.fault("empty_list", "GET", "/v2/account/activities", times=None)
    assert set(shown(account)) == {"fill_sum_mismatch", "position_broker_only"}
    root = next(root for root in open_roots(account) if root.kind == "fill_sum_mismatch")
    assert (root.local["fills_sum"], root.broker["fills_sum"]) == ("0", "10")
    assert not Fix.objects.exists()
    sim.clear_faults()
    assert shown(account) == {"missing_fill": ["position_broker_only"]}
    repair(account, sim)


def test_fill_that_only_the_list_leaves_out_is_not_called_missing(account: Account, sim: SimAccount) -> None:
    """Before the fill is called a phantom its order is asked for by id: there it is, so the list was cut."""
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    sim.fault("empty_list", "GET", "/v2/account/activities$", times=None)
    run = reconcile(account)
    assert (run.state, "the list was incomplete" in run.incomplete_reason) == (Run.State.INCOMPLETE, True)
    assert not Fix.objects.exists()
    sim.clear_faults()
    assert reconcile(account).state == Run.State.IN_SYNC


def test_fill_from_before_the_window_is_found_by_its_order(account: Account, sim: SimAccount) -> None:
    """A live order from long ago: its first fill lies before the window, and only its own list shows it."""
    raw = placed(sim, client_order_id="ts-1-1-a", type="limit", limit_price="90", wait="new")
    sim.act("fill", order_id=raw["id"], qty="4", price="90")
    record_as(account, sim, sim.order("ts-1-1-a"), with_fills=False)
    later = timezone.now() + timedelta(hours=1)
    ReadingCursor.objects.update(orders_read_to=later, activities_read_to=later)
    assert shown(account) == {"missing_fill": ["position_broker_only"]}
    repair(account, sim)


# --- Closed without an exit -------------------------------------------------------------------------------------


def test_closed_row_takes_its_exit_from_the_fills(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    sim.price("QCOM", "120")
    record_as(account, sim, placed(sim, client_order_id="ts-1-2-a", side="sell"))
    _forget_exit()
    assert shown(account) == {"closed_without_exit": []}
    repair(account, sim)
    position = Position.objects.get()
    assert (position.avg_exit_price, position.realized_pl) == (120, 200)


def test_exit_that_is_not_booked_yet_explains_the_closed_row(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    sim.price("QCOM", "120")
    placed(sim, client_order_id="ts-1-2-a", side="sell")
    _forget_exit()
    assert shown(account) == {"our_order_unlinked": ["closed_without_exit"]}
    repair(account, sim)
    assert Position.objects.get().realized_pl == 200


def test_exit_that_no_fill_tells_of_needs_a_value(account: Account, sim: SimAccount) -> None:
    make_adjustment(account, symbol="NVDA", qty="7", price="190")
    rebuild_positions(account=account, symbols={"NVDA"}, now=timezone.now())
    _forget_exit()
    assert shown(account) == {"closed_without_exit": []}
    assert "at what price it was left is not recorded" in open_roots(account)[0].sentence
    assert not Fix.objects.exists()


def _forget_exit() -> None:
    Position.objects.update(
        state="closed", qty=Decimal(0), avg_exit_price=None, realized_pl=Decimal(0), closed_at=timezone.now()
    )


# --- Dust -------------------------------------------------------------------------------------------------------


def hold_dust(account: Account, sim: SimAccount) -> None:
    for number, (side, qty) in enumerate([("buy", "1.005"), ("sell", "1")], start=1):
        record_as(account, sim, placed(sim, client_order_id=f"ts-1-{number}-a", side=side, qty=qty))


def test_dust_is_hidden_by_a_rule_of_its_own_and_the_account_is_in_step(account: Account, sim: SimAccount) -> None:
    hold_dust(account, sim)
    assert reconcile(account).state == Run.State.IN_SYNC
    (drift,) = Drift.objects.all()
    assert (drift.kind, drift.state, drift.severity) == ("position_dust", "ignored", "low")
    rule = IgnoreRule.objects.get()
    assert (rule.kind, rule.owner, rule.hidden_count) == ("position_dust", "system:default", 1)


def test_dust_is_shown_to_whoever_ends_the_rule(account: Account, sim: SimAccount) -> None:
    hold_dust(account, sim)
    reconcile(account)
    IgnoreRule.objects.update(expires_at=timezone.now())
    assert shown(account) == {"position_dust": []}
    assert IgnoreRule.objects.count() == 1
    assert not Fix.objects.exists()


@pytest.mark.parametrize(("symbol", "qty"), [("QCOM", "0.02"), ("QCOM", "1")])
def test_what_can_be_sold_is_no_dust(account: Account, sim: SimAccount, symbol: str, qty: str) -> None:
    raw: dict[str, Any] = placed(sim, client_order_id="ts-1-1-a", symbol=symbol, qty=qty)
    record_as(account, sim, raw)
    assert reconcile(account).state == Run.State.IN_SYNC
    assert not Drift.objects.exists()
