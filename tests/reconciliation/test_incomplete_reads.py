"""A read that proves nothing changes nothing: no drift about the books, no fix, no row moved."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.applying import apply_approved, apply_fix
from reconciliation.approving import approve_fixes
from reconciliation.ignoring import ignore_drift
from reconciliation.models import Drift, Fix, ReadingCursor, Run
from tests.factories import make_adjustment
from tests.reconciliation.steps import backfill_all, kinds, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    """Books with a position that Alpaca has too, and one order that is missing here."""
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(sim_account).state == Run.State.IN_SYNC
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    return sim_account


def books() -> dict[str, Any]:
    return {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Order, Fill, Position, Adjustment, Fix)
    } | {"cursor": list(ReadingCursor.objects.values("orders_read_to", "activities_read_to"))}


@pytest.mark.parametrize(
    ("fault", "path", "options"),
    [
        ("status", "/v2/positions", {"status": 500, "html": True}),
        ("status", "/v2/orders", {"status": 503}),
        ("status", "/v2/account", {"status": 504}),
        ("garbage", "/v2/positions", {}),
        ("truncated_body", "/v2/positions", {}),
        ("truncated_body", "/v2/account/activities", {}),
        ("truncated_page", "/v2/positions", {}),
        ("empty_list", "/v2/positions", {}),
        ("drop_answer", "/v2/clock", {}),
    ],
)
def test_bad_answer_ends_the_run_incomplete(
    account: Account, sim: SimAccount, fault: str, path: str, options: dict[str, Any]
) -> None:
    before = books()
    sim.fault(fault, "GET", path, times=None, **options)
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert run.incomplete_reason
    assert books() == before
    assert kinds(account) == {"incomplete_read": []}
    sim.clear_faults()
    assert reconcile(account).state == Run.State.DRIFT
    assert list(kinds(account)) == ["our_order_unlinked"]


def test_list_of_orders_that_hides_some_is_found_out(account: Account, sim: SimAccount) -> None:
    """The list is empty, and the page that proves the end too: only the fill betrays it."""
    before = books()
    sim.fault("empty_list", "GET", "/v2/orders", times=None)
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert "the list was incomplete" in run.incomplete_reason
    assert books() == before


def test_hanging_answer_ends_the_run(account: Account, sim: SimAccount, settings: Any) -> None:
    settings.BROKER_READ_TIMEOUT = 0.3
    sim.fault("hang", "GET", "/v2/positions", times=None)
    before = books()
    assert reconcile(account).state == Run.State.INCOMPLETE
    assert books() == before


def test_one_bad_answer_is_asked_again(account: Account, sim: SimAccount) -> None:
    sim.fault("status", "GET", "/v2/positions", status=500, html=True)
    assert reconcile(account).state == Run.State.DRIFT


def test_unreachable_broker(account: Account, settings: Any) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    before = books()
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert books() == before


def test_keys_of_another_account(account: Account, sim: SimAccount, settings: Any) -> None:
    before = books()
    settings.ALPACA_API_KEY = f"{sim.key_id}-other"
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert set(kinds(account)) <= {"wrong_account", "account_reset"}
    assert books() == before


def test_books_of_another_account_are_not_bound_to_the_first_that_answers(
    sim_account: Account, sim: SimAccount, settings: Any
) -> None:
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    settings.ALPACA_API_KEY = f"{sim.key_id}-other"
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "belong to another account" in run.incomplete_reason or "lacks" in run.incomplete_reason
    sim_account.refresh_from_db()
    assert not sim_account.is_bound
    assert not Fix.objects.exists()
    settings.ALPACA_API_KEY = sim.key_id
    assert reconcile(sim_account).state == Run.State.IN_SYNC


def test_small_position_that_the_list_leaves_out(sim_account: Account, sim: SimAccount) -> None:
    """Too small to show in the account's sums; it is asked for by name."""
    open_books(sim_account)
    sim.price("NVDA", "1000")
    sim.price("QCOM", "10")
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1", symbol="NVDA", qty="20"))
    record_as(sim_account, sim, placed(sim, client_order_id="ts-2", qty="1"))
    sim.fault("truncated_page", "GET", "^/v2/positions$", times=None, rows=1)
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "leaves it out" in run.incomplete_reason
    assert not Fix.objects.exists()


def test_recorded_order_that_the_list_leaves_out(sim_account: Account, sim: SimAccount) -> None:
    """Flat by two orders: without the list nothing else would betray that it is empty."""
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    record_as(sim_account, sim, placed(sim, client_order_id="ts-2", side="sell"))
    sim.fault("empty_list", "GET", "^/v2/orders$", times=None)
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "the list was incomplete" in run.incomplete_reason


def test_list_of_activities_that_leaves_booked_fills_out(sim_account: Account, sim: SimAccount) -> None:
    """The orders still say that they are filled: what the list lacks was left out, and is no phantom."""
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    record_as(sim_account, sim, placed(sim, client_order_id="ts-2", symbol="NVDA"))
    for fault in ("empty_list", "truncated_page"):
        sim.fault(fault, "GET", "^/v2/account/activities$", times=None)
        run = reconcile(sim_account)
        assert run.state == Run.State.INCOMPLETE
        assert "the list was incomplete" in run.incomplete_reason or "cut short" in run.incomplete_reason
        sim.clear_faults()
    assert not Fix.objects.exists()
    assert reconcile(sim_account).state == Run.State.IN_SYNC


def sent(account: Account) -> Order:
    """An order of QCOM that is on its way: nothing may be said about the position meanwhile."""
    return Order.objects.create(
        account=account, client_order_id="ts-9", symbol="QCOM", side="sell", qty=Decimal(5),
        recorded_at=timezone.now(), submission_state="submitting", claimed_at=timezone.now(),
    )  # fmt: skip


def with_a_wrong_position(account: Account, sim: SimAccount) -> None:
    open_books(account)
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, symbol="QCOM", qty="5", price="100", kind="correction")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    placed(sim, symbol="NVDA")
    assert reconcile(account).state == Run.State.DRIFT


def test_position_on_its_way_is_neither_resolved_nor_repaired(sim_account: Account, sim: SimAccount) -> None:
    with_a_wrong_position(sim_account, sim)
    fix = Fix.objects.get(key="position_qty:QCOM")
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    sent(sim_account)
    apply_approved(account=sim_account, actor="ops")
    fix.refresh_from_db()
    assert fix.state == Fix.State.STALE
    assert Position.objects.get(symbol="QCOM").qty == 15
    assert Drift.objects.get(kind="position_qty").state == Drift.State.OPEN


def test_repair_is_not_verified_while_its_position_is_on_its_way(sim_account: Account, sim: SimAccount) -> None:
    with_a_wrong_position(sim_account, sim)
    fix = Fix.objects.get(key="position_qty:QCOM")
    approve_fixes(fixes=[fix], actor="ops", now=timezone.now())
    assert apply_fix(fix=fix, now=timezone.now())
    order = sent(sim_account)
    reconcile(sim_account)
    fix.refresh_from_db()
    assert fix.state == Fix.State.APPLIED
    Order.objects.filter(pk=order.pk).update(submission_state="denied")
    reconcile(sim_account)
    fix.refresh_from_db()
    assert fix.state == Fix.State.VERIFIED


def test_ignoring_one_thing_does_not_hide_what_is_on_its_way(sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim, symbol="NVDA")
    reconcile(sim_account)
    now = timezone.now()
    (drift,) = Drift.objects.roots()
    ignore_drift(drift=drift, actor="ops", reason="known", until=now + timedelta(days=1), now=now)
    make_adjustment(sim_account, symbol="QCOM", qty="5", price="100", kind="correction")
    rebuild_positions(account=sim_account, symbols={"QCOM"}, now=now)
    sent(sim_account)
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "QCOM is on its way" in run.incomplete_reason


def test_answer_from_old_data_takes_nothing_back(sim_account: Account, sim: SimAccount) -> None:
    """Alpaca's machines do not all know the latest at once; what was booked came from one that did."""
    open_books(sim_account)
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    order = record_as(sim_account, sim, raw)
    assert order.broker_updated_at is not None
    later = order.broker_updated_at + timedelta(seconds=1)
    Order.objects.update(filled_qty=Decimal(3), status="partially_filled", broker_updated_at=later)
    run = reconcile(sim_account)
    assert run.state == Run.State.INCOMPLETE
    assert "old data" in run.incomplete_reason
    assert not Fix.objects.exists()


def test_account_that_was_reset(account: Account, sim: SimAccount) -> None:
    before = books()
    Account.objects.update(bound_at=timezone.now())
    sim.act("reset_account", key_id=sim.key_id)
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert kinds(account) == {"account_reset": []}
    assert "reset" in run.incomplete_reason
    assert books() == before


def test_positions_that_lag_behind_fills_prove_nothing_yet(account: Account, sim: SimAccount) -> None:
    """Fills are there, positions not: whatever is concluded, nothing is proposed that adjusts a position."""
    sim.fault("positions_lag", times=None, seconds=30)
    placed(sim, client_order_id="ts-3", symbol="ACGL")
    reconcile(account)
    assert not Fix.objects.filter(action__startswith="adjust").exists()
    sim.clear_faults()
    backfill_all(account)
    assert reconcile(account).state in {Run.State.DRIFT, Run.State.IN_SYNC}


def test_evidence_drift_is_one_row_however_often_it_is_seen(account: Account, sim: SimAccount) -> None:
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    reconcile(account)
    reconcile(account)
    assert Drift.objects.filter(kind="incomplete_read").count() == 1


#: A reading asks for orders three times: open ones, recent ones, and the page that proves the end of those.
