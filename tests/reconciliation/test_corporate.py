"""Splits, new symbols and transfers, end to end: made at Alpaca, shown as one cause, repaired, verified, undone."""

import uuid
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.models import Account
from positions.cash import cash_books
from positions.models import Adjustment, CashEntry, Position
from reconciliation.models import Drift, Fix
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import backfill_all, books, kinds, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def symbol(sim: SimAccount) -> str:
    """A company of this test alone: what happens to its shares happens to all who hold them."""
    name = f"Z{uuid.uuid4().hex[:6].upper()}".translate(str.maketrans("0123456789", "GHIJKLMNOP"))
    sim.simulator.admin("state", {"assets": [{"symbol": name, "name": name}]})
    sim.price(name, "100")
    return name


def hold(account: Account, sim: SimAccount, symbol: str, qty: str = "10") -> None:
    open_books(account)
    record_as(account, sim, placed(sim, symbol=symbol, qty=qty, client_order_id=f"ts-{uuid.uuid4().hex[:12]}"))
    assert reconcile(account).state == "in_sync"


def position(symbol: str) -> Position:
    return Position.objects.get(symbol=symbol, state="open")


def undo_last(account: Account) -> None:
    fix = Fix.objects.filter(account=account, state="verified").latest("pk")
    undo_fix(fix=fix, actor="ops", now=timezone.now())


def apply_and_verify(account: Account) -> Fix:
    applied = backfill_all(account)
    assert [(fix.state, fix.outcome) for fix in applied.fixes] == [("verified", "")] * len(applied.fixes)
    assert reconcile(account).state == "in_sync"
    return applied.fixes[0]


def test_a_split_is_one_cause_and_rescales_everything_together(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    before, was = books(), position(symbol)
    assert (was.qty, was.avg_entry_price, was.stop_loss, was.target) == (10, 100, 92, 116)
    sim.act("split", symbol=symbol, ratio="4")

    assert reconcile(sim_account).state == "drift"
    assert kinds(sim_account) == {"split": ["position_qty"]}
    (root,) = open_roots(sim_account)
    assert root.sentence.startswith(f"{symbol} was split 4 for 1 on ")
    assert "10 at 100.00 here, 40 at 25.00 at Alpaca. What the shares cost stays" in root.sentence
    assert root.fix is not None
    assert (root.fix.title, root.fix.is_safe_copy) == (f"Split {symbol} 4 for 1", False)
    assert root.fix.after["position"]["stop_loss"] == "23"

    apply_and_verify(sim_account)
    now = position(symbol)
    assert (now.qty, now.entry_qty, now.avg_entry_price, now.stop_loss, now.target) == (40, 40, 25, 23, 29)
    assert (now.risk_per_share, now.total_risk, now.cost_basis) == (2, was.total_risk, was.cost_basis)
    assert Adjustment.objects.get().ratio == 4

    undo_last(sim_account)
    assert books() == before
    reconcile(sim_account)
    assert kinds(sim_account) == {"split": ["position_qty"]}


def test_what_was_bought_and_sold_around_a_split_is_counted_in_its_own_shares(
    sim_account: Account, sim: SimAccount, symbol: str
):
    hold(sim_account, sim, symbol)
    sim.act("split", symbol=symbol, ratio="2")
    sold = placed(sim, symbol=symbol, side="sell", qty="5", client_order_id=f"ts-{uuid.uuid4().hex[:12]}")
    record_as(sim_account, sim, sold)
    reconcile(sim_account)
    assert kinds(sim_account) == {"split": ["position_qty"]}
    apply_and_verify(sim_account)
    now = position(symbol)
    assert (now.qty, now.avg_entry_price, now.realized_pl, now.cost_basis) == (15, 50, 0, 750)


def test_a_split_and_a_fill_that_nobody_booked_are_two_causes(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    placed(sim, symbol=symbol, qty="2")
    sim.act("split", symbol=symbol, ratio="2")
    reconcile(sim_account)
    assert kinds(sim_account) == {"external_order": [], "split": ["position_qty"]}
    apply_and_verify(sim_account)
    assert (position(symbol).qty, position(symbol).cost_basis) == (24, 1200)


def test_a_reverse_split_pays_the_fraction_in_cash(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol, "15")
    before = books()
    sim.act("split", symbol=symbol, ratio="0.1", cash_in_lieu=True)
    reconcile(sim_account)
    assert kinds(sim_account) == {"split": ["position_qty"]}
    fix = apply_and_verify(sim_account)
    assert fix.title == f"Split {symbol} 1 for 10"
    now = position(symbol)
    assert (now.qty, now.avg_entry_price, now.cost_basis, now.realized_pl) == (1, 1000, 1000, 0)
    assert CashEntry.objects.get(activity_type="SPLIT").net_amount == 500
    undo_last(sim_account)
    assert books() == before
    assert not CashEntry.objects.filter(activity_type="SPLIT").exists()


def test_a_split_that_alpaca_has_not_told_of_is_known_by_quantity_and_average(
    sim_account: Account, sim: SimAccount, symbol: str
):
    hold(sim_account, sim, symbol)
    sim.act("split", symbol=symbol, ratio="1.5")
    sim.fault("truncated_page", "GET", "/v2/account/activities", times=None, rows=1)
    reconcile(sim_account)
    sim.clear_faults()
    roots = [(root.kind, root.sentence) for root in open_roots(sim_account)]
    assert roots[0][0] == "split"
    assert "looks split 3 for 2, untold by Alpaca so far" in roots[0][1]


def test_a_split_that_was_booked_before_it_was_told_is_not_booked_twice(
    sim_account: Account, sim: SimAccount, symbol: str
):
    hold(sim_account, sim, symbol)
    sim.act("split", symbol=symbol, ratio="2")
    reconcile(sim_account)
    apply_and_verify(sim_account)
    line = Adjustment.objects.get()
    Adjustment.objects.filter(pk=line.pk).update(reference=f"split:{symbol}:10")
    assert reconcile(sim_account, is_full=True).state == "in_sync"


def test_a_new_symbol_takes_the_shares_over_with_their_cost(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    before, cost = books(), position(symbol).cost_basis
    new = f"{symbol}X"
    sim.act("rename", symbol=symbol, to=new)
    reconcile(sim_account)
    assert kinds(sim_account) == {"symbol_change": ["position_broker_only", "position_database_only"]}
    (root,) = open_roots(sim_account)
    assert root.sentence.startswith(f"{symbol} is called {new} now, the same asset: 10 shares at 100.00 go over")
    apply_and_verify(sim_account)
    now, old = position(new), Position.objects.get(symbol=symbol)
    assert (now.qty, now.cost_basis, now.stop_loss) == (10, cost, 92)
    assert (old.state, old.realized_pl) == ("closed", 0)
    undo_last(sim_account)
    assert books() == before


@pytest.mark.parametrize(("price", "basis", "is_estimated"), [("40", 40, False), (None, 100, True)])
def test_shares_that_come_without_a_trade_bring_their_basis(
    sim_account: Account, sim: SimAccount, symbol: str, price: str | None, basis: int, is_estimated: bool
):
    hold(sim_account, sim, symbol)
    before = books()
    sim.act("transfer", key_id=sim.key_id, symbol=symbol, qty="10", price=price)
    reconcile(sim_account)
    assert kinds(sim_account) == {"transfer": ["position_qty"]}
    apply_and_verify(sim_account)
    line = Adjustment.objects.get()
    assert (line.kind, line.qty, line.price, line.is_estimated) == ("transfer", 10, basis, is_estimated)
    assert position(symbol).cost_basis == 1000 + 10 * Decimal(basis)
    undo_last(sim_account)
    assert books() == before


def test_shares_that_leave_without_a_trade_realise_nothing(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    sim.act("transfer", key_id=sim.key_id, symbol=symbol, qty="-4", activity_type="JNLS")
    reconcile(sim_account)
    apply_and_verify(sim_account)
    assert (position(symbol).qty, position(symbol).realized_pl, position(symbol).avg_entry_price) == (6, 0, 100)


def test_what_its_entries_do_not_explain_to_the_last_share_is_taken_over_as_a_guess(
    sim_account: Account, sim: SimAccount, symbol: str
):
    open_books(sim_account)
    reconcile(sim_account)
    before = books()
    sim.act("transfer", key_id=sim.key_id, symbol=symbol, qty="3", price="87.5")
    sim.act("split", symbol=symbol, ratio="3")
    assert reconcile(sim_account).state == "drift"
    assert set(kinds(sim_account)) == {"transfer", "position_broker_only"}
    (fix,) = Fix.objects.filter(account=sim_account).proposed()
    assert (fix.action, fix.is_safe_copy) == ("adjust_position", False)
    apply_and_verify(sim_account)
    assert position(symbol).qty == 9
    undo_last(sim_account)
    assert books() == before


def test_none_of_it_moves_cash_that_the_books_do_not_know(sim_account: Account, sim: SimAccount, symbol: str):
    hold(sim_account, sim, symbol)
    assert reconcile(sim_account).state == "in_sync"
    expected = cash_books(sim_account)
    assert expected is not None
    sim.act("split", symbol=symbol, ratio="2")
    sim.act("transfer", key_id=sim.key_id, symbol=symbol, qty="1", price="10")
    reconcile(sim_account)
    assert not Drift.objects.filter(kind__in=["cash", "cash_activity"]).exists()
    after = cash_books(sim_account)
    assert after is not None
    assert after.expected == expected.expected
