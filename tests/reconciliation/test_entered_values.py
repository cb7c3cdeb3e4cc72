"""Numbers that only a person knows, end to end: entered, planned, shown, approved, verified, replaced, undone."""

import uuid
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.entered_rows import EnteredValue
from reconciliation.entered_values import enter_value, withdraw_value
from reconciliation.errors import ReconciliationError
from reconciliation.models import BackfillPolicy, Drift, Fix
from tests.factories import make_adjustment
from tests.reconciliation.mending import only_root, repair, shown, undo
from tests.reconciliation.steps import backfill_all, books, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


@pytest.fixture
def symbol(sim: SimAccount) -> str:
    """A company of this test alone."""
    name = f"Z{uuid.uuid4().hex[:6].upper()}".translate(str.maketrans("0123456789", "GHIJKLMNOP"))
    sim.simulator.admin("state", {"assets": [{"symbol": name, "name": name}]})
    sim.price(name, "100")
    return name


def enter(drift: Drift, price: str, *, actor: str = "ops", reason: str = "Statement of November") -> EnteredValue:
    return enter_value(drift=drift, price=price, reason=reason, actor=actor, now=timezone.now())


def proposed() -> Fix:
    return Fix.objects.proposed().get()


# --- A position that is closed and does not say how ---------------------------------------------------------------


def closed_without_exit(account: Account) -> Drift:
    make_adjustment(account, symbol="NVDA", qty="7", price="190")
    rebuild_positions(account=account, symbols={"NVDA"}, now=timezone.now())
    Position.objects.update(
        state="closed", qty=Decimal(0), avg_exit_price=None, realized_pl=Decimal(0), closed_at=timezone.now()
    )
    return only_root(account, "closed_without_exit")


def test_entered_exit_closes_the_position_with_its_profit(account: Account, sim: SimAccount) -> None:
    drift = closed_without_exit(account)
    before, closed_at = books(), Position.objects.get().closed_at
    assert drift.fix is None
    enter(drift, "200.5")
    assert books() == before, "entering repairs nothing by itself"
    assert shown(account) == {"closed_without_exit": []}
    fix = proposed()
    assert (fix.title, fix.is_safe_copy) == ("Book the exit of 7 NVDA at 200.5, entered by ops", False)
    assert fix.before["position"]["avg_exit_price"] is None
    assert (fix.after["position"]["avg_exit_price"], fix.after["position"]["realized_pl"]) == ("200.5", "73.5")
    fixes = repair(account, sim)
    position = Position.objects.get()
    assert (position.state, position.avg_exit_price, position.realized_pl) == ("closed", Decimal("200.5"), 73.5)
    assert (position.is_estimated, position.entered_by, position.closed_at) == (True, "ops", closed_at)
    line = Adjustment.objects.get(kind="correction")
    assert (line.entered_by, line.reason) == ("ops", f"Fix {fix.pk}: Statement of November")
    undo(fixes)
    assert books() == before
    assert shown(account) == {"closed_without_exit": []}
    assert not Fix.objects.proposed().exists(), "what was undone is not proposed by itself again"


def test_entering_is_journaled_with_the_person_and_the_reason(account: Account) -> None:
    drift = closed_without_exit(account)
    enter(drift, "200")
    enter(drift, "201", actor="admin", reason="A later statement")
    withdraw_value(drift=drift, actor="admin", now=timezone.now())
    told = AuditEntry.objects.filter(subject_type="drift").order_by("pk")
    assert list(told.values_list("actor", "action", "reason", "before__price", "after__price")) == [
        ("ops", "drift.value_entered", "Statement of November", None, 200),
        ("admin", "drift.value_entered", "A later statement", 200, 201),
        ("admin", "drift.value_withdrawn", "", 201, None),
    ]
    assert shown(account) == {"closed_without_exit": []}
    assert not Fix.objects.exists()
    with pytest.raises(ReconciliationError, match="No number is entered"):
        withdraw_value(drift=drift, actor="ops", now=timezone.now())


def test_another_number_voids_what_was_proposed_with_the_first(account: Account) -> None:
    drift = closed_without_exit(account)
    enter(drift, "200")
    reconcile(account)
    first = proposed()
    enter(drift, "210", actor="admin")
    approve_fixes(fixes=[first], actor="ops", now=timezone.now())
    apply_approved(account=account, actor="ops")
    first.refresh_from_db()
    assert first.state == Fix.State.STALE
    assert not Adjustment.objects.filter(kind="correction").exists()
    assert "at 210, entered by admin" in proposed().title


def test_nothing_is_entered_while_its_fix_is_on_its_way(account: Account) -> None:
    drift = closed_without_exit(account)
    enter(drift, "200")
    reconcile(account)
    approve_fixes(fixes=Fix.objects.proposed(), actor="ops", now=timezone.now())
    with pytest.raises(ReconciliationError, match="approved already"):
        enter(Drift.objects.get(), "300")
    assert EnteredValue.objects.get().price == 200


def test_two_people_where_the_policy_asks_for_them(account: Account, sim: SimAccount) -> None:
    BackfillPolicy.objects.create(account=account, kind="", mode="two_people", updated_at=timezone.now())
    enter(closed_without_exit(account), "200")
    reconcile(account)
    assert not approve_fixes(fixes=[proposed()], actor="ops", now=timezone.now())
    assert not approve_fixes(fixes=[proposed()], actor="ops", now=timezone.now())
    assert approve_fixes(fixes=[proposed()], actor="admin", now=timezone.now())
    (fix,) = apply_approved(account=account, actor="admin").fixes
    assert (fix.state, fix.requested_by, fix.approved_by) == ("verified", "ops", "admin")


# --- Shares that are gone, and no fill says how -------------------------------------------------------------------


Remember = Callable[[], None]


@pytest.fixture
def remember(account: Account, sim: SimAccount) -> Remember:
    """Bought and held here; sold there at 120, of which Alpaca lists nothing. Call it, and Alpaca does."""
    sim.price("NVDA", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1-0-a", symbol="NVDA", qty="1"))
    record_as(account, sim, placed(sim, client_order_id="ts-1-1-a"))
    assert reconcile(account).state == "in_sync"
    sim.price("QCOM", "120")
    sale = placed(sim, client_order_id="ts-1-2-a", side="sell")["id"]
    whole = sim.simulator.admin("state")["accounts"][sim.key_id]
    orders = [row for row in whole["orders"] if row["id"] != sale]
    activities = [row for row in whole["activities"] if row["order_id"] != sale]
    assert len(orders) == len(activities) == 2
    sim.simulator.admin("state", {"accounts": {sim.key_id: {**whole, "orders": orders, "activities": activities}}})
    return lambda: sim.simulator.admin("state", {"accounts": {sim.key_id: whole}})


@pytest.fixture
def sold(account: Account, remember: Remember) -> Drift:
    return only_root(account, "position_database_only")


def test_without_a_number_the_shares_leave_at_their_own_average_and_cash_differs(
    account: Account, sim: SimAccount, sold: Drift
) -> None:
    assert "entered by" not in proposed().title
    fixes = backfill_all(account).fixes
    assert [fix.state for fix in fixes] == ["verified"]
    assert shown(account) == {"cash": []}


def test_entered_exit_price_brings_profit_and_cash_with_it(account: Account, sim: SimAccount, sold: Drift) -> None:
    before = books()
    enter(sold, "120")
    assert shown(account) == {"position_database_only": []}
    fix = proposed()
    assert fix.title == "Book -10 QCOM at 120, entered by ops as a correction"
    assert (fix.before["cash"]["balance"], fix.after["cash"]["balance"]) == ("98900", "100100")
    assert (fix.after["position"]["avg_exit_price"], fix.after["position"]["realized_pl"]) == ("120", "200")
    fixes = repair(account, sim)
    position = Position.objects.get(symbol="QCOM")
    assert (position.avg_exit_price, position.realized_pl, position.entered_by) == (120, 200, "ops")
    undo(fixes)
    assert books() == before
    assert shown(account) == {"position_database_only": []}
    assert "entered by" not in proposed().title


def test_true_fill_replaces_the_number(account: Account, sim: SimAccount, sold: Drift, remember: Remember) -> None:
    enter(sold, "118")
    reconcile(account)
    backfill_all(account)
    entered = books()
    assert Position.objects.get(symbol="QCOM").realized_pl == 180
    remember()
    reconcile(account)
    assert "our_order_unlinked" in {root.kind for root in open_roots(account)}
    fixes = repair(account, sim)
    assert not Adjustment.objects.exists()
    position = Position.objects.get(symbol="QCOM")
    assert (position.realized_pl, position.is_estimated, position.entered_by) == (200, False, "")
    undo(fixes)
    assert books() == entered


# --- Shares that came, and no entry says what they cost -----------------------------------------------------------


def transferred(account: Account, sim: SimAccount, symbol: str, *, price: str | None = None) -> Drift:
    record_as(account, sim, placed(sim, symbol=symbol, client_order_id=f"ts-{uuid.uuid4().hex[:12]}"))
    assert reconcile(account).state == "in_sync"
    sim.act("transfer", key_id=sim.key_id, symbol=symbol, qty="10", price=price)
    assert shown(account) == {"transfer": ["position_qty"]}
    return open_roots(account)[0]


def test_entered_cost_basis_stays_ours_and_averages_are_in_step(account: Account, sim: SimAccount, symbol: str) -> None:
    drift = transferred(account, sim, symbol)
    before = books()
    enter(drift, "40")
    reconcile(account)
    (root,) = open_roots(account)
    assert root.sentence.endswith("basis 40.00 a share, entered by ops.")
    fix = proposed()
    assert fix.title == f"Book the transfer of +10 {symbol} at 40, entered by ops"
    assert fix.after["position"]["avg_entry_price"] == "70"
    fixes = repair(account, sim)
    position = Position.objects.get()
    assert (position.qty, position.avg_entry_price, position.entered_by) == (20, 70, "ops")
    assert {row["avg_entry_price"] for row in sim.api("GET", "/v2/positions")} == {"100"}
    assert reconcile(account, is_full=True).state == "in_sync"
    assert not Drift.objects.filter(kind="position_avg_price").exists()
    undo(fixes)
    assert books() == before
    reconcile(account)
    assert proposed().title == f"Book the transfer of +10 {symbol} at 100"


def test_averages_are_still_compared_beside_an_entered_basis(account: Account, sim: SimAccount, symbol: str) -> None:
    enter(transferred(account, sim, symbol), "40")
    reconcile(account)
    repair(account, sim)
    # Alpaca learns late what they cost, and then its average is the truth.
    make_adjustment(account, symbol=symbol, kind="average", qty="0", price="66", is_estimated=True,
                    effective_at=timezone.now(), recorded_at=timezone.now(), reference="late")  # fmt: skip
    rebuild_positions(account=account, symbols={symbol}, now=timezone.now())
    assert shown(account) == {"position_avg_price": []}
    repair(account, sim)
    assert (Position.objects.get().avg_entry_price, Position.objects.get().entered_by) == (100, "")


def test_entered_basis_goes_through_trades_a_split_and_a_new_name(
    account: Account, sim: SimAccount, symbol: str
) -> None:
    enter(transferred(account, sim, symbol), "40")
    reconcile(account)
    repair(account, sim)
    record_as(account, sim, placed(sim, symbol=symbol, side="sell", qty="5", client_order_id="ts-1-9-a"))
    assert reconcile(account).state == "in_sync"
    sim.act("split", symbol=symbol, ratio="2")
    assert shown(account) == {"split": ["position_qty"]}
    repair(account, sim)
    assert (Position.objects.get().qty, Position.objects.get().avg_entry_price) == (30, 35)
    sim.act("rename", symbol=symbol, to=f"{symbol}X")
    assert "symbol_change" in shown(account)
    repair(account, sim)
    now = Position.objects.get(symbol=f"{symbol}X")
    assert (now.qty, now.avg_entry_price, now.entered_by) == (30, 35, "ops")


def test_what_alpaca_names_is_not_asked_for(account: Account, sim: SimAccount, symbol: str) -> None:
    drift = transferred(account, sim, symbol, price="55")
    with pytest.raises(ReconciliationError, match="No number is needed"):
        enter(drift, "40")
