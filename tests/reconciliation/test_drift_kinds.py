"""Each way of drifting, made for real at the simulator: seen, explained, repaired, and in step afterwards."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import LazySettings
from django.utils import timezone

from broker.models import Account
from orders.models import Fill, Order
from positions.models import Position
from positions.rebuilding import rebuild_positions
from reconciliation.models import Fix, ReadingCursor, Run
from tests.factories import make_adjustment, make_batch
from tests.reconciliation.steps import (
    backfill_all,
    kinds,
    open_books,
    open_roots,
    placed,
    reconcile,
    record_as,
)
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    return sim_account


def assert_repaired(account: Account, sim: SimAccount) -> None:
    """Every fix applies and verifies, the next run is in sync and changes nothing, positions are Alpaca's."""
    applied = backfill_all(account)
    assert applied.fixes, "no fix was proposed"
    assert {fix.state for fix in applied.fixes} == {Fix.State.VERIFIED}, [fix.outcome for fix in applied.fixes]
    assert applied.verification_run is not None
    assert applied.verification_run.state == Run.State.IN_SYNC
    assert reconcile(account).state == Run.State.IN_SYNC
    ours = {row.symbol: row.qty for row in Position.objects.filter(account=account).open()}
    assert ours == {row["symbol"]: Decimal(row["qty"]) for row in sim.api("GET", "/v2/positions")}


def test_our_order_is_not_recorded(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"our_order_unlinked": ["position_broker_only"]}
    assert_repaired(account, sim)
    assert Order.objects.get().origin == "backfill"


def test_our_sell_is_not_recorded(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    assert reconcile(account).state == Run.State.IN_SYNC
    placed(sim, client_order_id="ts-2", side="sell")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"our_order_unlinked": ["position_database_only"]}
    assert_repaired(account, sim)
    assert Position.objects.get().state == "closed"


def test_order_from_outside(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    placed(sim, qty="4")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"external_order": ["position_qty"]}
    assert open_roots(account)[0].sentence.startswith("Somebody placed an order outside this program: buy 4 QCOM")
    assert_repaired(account, sim)
    assert Order.objects.get(qty=Decimal(4)).origin == "external"


def test_submit_without_an_answer(account: Account, sim: SimAccount) -> None:
    Order.objects.create(
        account=account, client_order_id="ts-1", symbol="QCOM", side="buy", qty=Decimal(10), recorded_at=timezone.now(),
        submission_state="unconfirmed", unconfirmed_at=timezone.now(),
    )  # fmt: skip
    placed(sim, client_order_id="ts-1")
    assert reconcile(account).state == Run.State.DRIFT
    assert list(kinds(account)) == ["unconfirmed_submit"]
    assert_repaired(account, sim)
    order = Order.objects.get()
    assert (order.submission_state, order.status, order.filled_qty) == ("confirmed", "filled", Decimal(10))


def test_submit_that_alpaca_does_not_show_proposes_nothing(account: Account) -> None:
    Order.objects.create(
        account=account, client_order_id="ts-1", symbol="QCOM", side="buy", qty=Decimal(10), recorded_at=timezone.now(),
        submission_state="unconfirmed", unconfirmed_at=timezone.now(),
    )  # fmt: skip
    assert reconcile(account).state == Run.State.DRIFT
    assert list(kinds(account)) == ["unconfirmed_submit"]
    assert not Fix.objects.exists()


def test_status_behind(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    sim.api("DELETE", f"/v2/orders/{raw['id']}")
    sim.wait_for_status("ts-1", "canceled")
    assert reconcile(account).state == Run.State.DRIFT
    # The entry that will never be filled is what the cancel means, not another fault.
    assert kinds(account) == {"status_behind": ["pending_never_filled"]}
    assert_repaired(account, sim)
    assert Position.objects.get().state == "closed"


def test_filled_quantity_behind(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    sim.act("fill", order_id=raw["id"], qty="3", price="1.00")
    record_as(account, sim, sim.order("ts-1"))
    assert reconcile(account).state == Run.State.IN_SYNC
    sim.act("fill", order_id=raw["id"], qty="4", price="1.00")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"filled_qty_behind": ["missing_fill", "position_qty"]}
    assert_repaired(account, sim)


def test_fill_missing(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"), with_fills=False)
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"missing_fill": ["position_broker_only"]}
    assert_repaired(account, sim)
    assert Fill.objects.count() == 1


def test_replace_chain(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    newer = raw
    for price in ("1.10", "1.20"):
        newer = sim.api("PATCH", f"/v2/orders/{newer['id']}", json={"limit_price": price})
        sim.wait_for_status(newer["client_order_id"], "new")
    sim.act("fill", order_id=newer["id"], price="1.20")
    sim.wait_for_status(newer["client_order_id"], "filled")
    assert reconcile(account).state == Run.State.DRIFT
    assert list(kinds(account)) == ["replace_chain"]
    assert_repaired(account, sim)
    chain = {order.broker_order_id: order for order in Order.objects.all()}
    assert len(chain) == 3
    first = chain[raw["id"]]
    assert chain[chain[first.replaced_by].replaced_by].status == "filled"


def test_position_that_no_fill_explains(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, symbol="QCOM", qty="5", price="100", kind="correction", reference="wrong")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_qty": []}
    fix = Fix.objects.proposed().get()
    assert (fix.is_safe_copy, fix.plan[0]["qty"]) == (False, "-5")
    assert_repaired(account, sim)
    assert Position.objects.get().is_estimated


def test_position_only_in_the_database(account: Account, sim: SimAccount) -> None:
    make_adjustment(account, symbol="NVDA", qty="7", price="190", reference="never was")
    rebuild_positions(account=account, symbols={"NVDA"}, now=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_database_only": []}
    assert_repaired(account, sim)
    position = Position.objects.get()
    # No exit price is known, so no profit is claimed.
    assert (position.state, position.realized_pl) == ("closed", Decimal(0))


def test_position_on_the_other_side(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, symbol="QCOM", qty="-25", price="100", kind="correction", reference="wrong")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_side": []}
    assert_repaired(account, sim)


def test_average_price_differs(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, symbol="QCOM", qty="0", price="1", kind="average", reference="wrong",
                    effective_at=timezone.now())  # fmt: skip
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_avg_price": []}
    assert_repaired(account, sim)


def test_stored_position_that_somebody_edited_is_rebuilt(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    Position.objects.update(qty=Decimal(3))
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_qty": []}
    assert Fix.objects.proposed().get().action == "rebuild_position"
    assert_repaired(account, sim)


def test_order_that_is_not_sent_yet_is_no_drift(account: Account) -> None:
    Order.objects.create(
        account=account, batch=make_batch(account, state="released"), client_order_id="ts-1", symbol="QCOM",
        side="buy", qty=Decimal(10), recorded_at=timezone.now(),
    )  # fmt: skip
    assert reconcile(account).state == Run.State.IN_SYNC


def test_unknown_status_is_shown_and_kept(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", wait="new")
    record_as(account, sim, raw)
    sim.fault("unknown_status", status="frobbed", times=None)
    assert reconcile(account).state == Run.State.DRIFT
    root = open_roots(account)[0]
    assert (root.kind, root.broker["status"]) == ("unknown_status", "frobbed")


def test_second_sighting_is_the_same_row(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    reconcile(account)
    before = [(d.pk, d.key) for d in open_roots(account)], list(Fix.objects.values_list("pk", "fingerprint"))
    reconcile(account)
    assert ([(d.pk, d.key) for d in open_roots(account)], list(Fix.objects.values_list("pk", "fingerprint"))) == before


def test_drift_that_went_away_by_itself_is_resolved_and_its_fix_withdrawn(account: Account, sim: SimAccount) -> None:
    raw = placed(sim, client_order_id="ts-1")
    reconcile(account)
    record_as(account, sim, raw)
    assert reconcile(account).state == Run.State.IN_SYNC
    assert open_roots(account) == []
    assert Fix.objects.get().state == Fix.State.WITHDRAWN


def test_position_is_not_judged_while_an_order_in_it_is_on_its_way(account: Account, sim: SimAccount) -> None:
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    make_adjustment(account, symbol="QCOM", qty="5", price="100", kind="correction", reference="wrong")
    rebuild_positions(account=account, symbols={"QCOM"}, now=timezone.now())
    order = Order.objects.create(
        account=account,
        client_order_id="ts-2",
        symbol="QCOM",
        side="sell",
        qty=Decimal(5),
        recorded_at=timezone.now(),
        submission_state="submitting",
        claimed_at=timezone.now(),
    )
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert "QCOM is on its way" in run.incomplete_reason
    assert not Fix.objects.exists()
    # Once it is known what became of the order, the position is judged.
    Order.objects.filter(pk=order.pk).update(submission_state="denied")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"position_qty": []}


def test_explanation_older_than_the_window_is_found(account: Account, sim: SimAccount, settings: LazySettings) -> None:
    settings.CURSOR_OVERLAP_HOURS = 0
    placed(sim, client_order_id="ts-1")
    # Activities are asked for by whole seconds.
    later = timezone.now() + timedelta(seconds=1)
    ReadingCursor.objects.update(orders_read_to=later, activities_read_to=later)
    run = reconcile(account)
    assert run.is_full
    assert kinds(account) == {"our_order_unlinked": ["position_broker_only"]}
    assert_repaired(account, sim)


def test_riddle_is_read_in_full_once(account: Account) -> None:
    make_adjustment(account, symbol="NVDA", qty="7", price="190", reference="never was")
    rebuild_positions(account=account, symbols={"NVDA"}, now=timezone.now())
    assert [reconcile(account).is_full for _ in range(2)] == [True, False]
    assert kinds(account) == {"position_database_only": []}


def test_open_drift_keeps_its_order_in_the_window(account: Account, sim: SimAccount, settings: LazySettings) -> None:
    settings.CURSOR_OVERLAP_HOURS = 0
    raw = placed(sim, type="limit", limit_price="1.00", wait="new")
    sim.api("DELETE", f"/v2/orders/{raw['id']}")
    sim.wait_for_status(raw["client_order_id"], "canceled")
    for _ in range(3):
        assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"external_order": []}
    assert_repaired(account, sim)


def test_order_whose_fills_alpaca_does_not_list_yet_is_not_copied(account: Account, sim: SimAccount) -> None:
    placed(sim, client_order_id="ts-1")
    sim.fault("empty_list", "GET", "/v2/account/activities", times=None)
    assert reconcile(account).state == Run.State.DRIFT
    assert set(kinds(account)) == {"our_order_unlinked", "position_broker_only"}
    # Copying it without its fills would be a lie, and guessing a position from it another.
    assert not Fix.objects.exists()
    sim.clear_faults()
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"our_order_unlinked": ["position_broker_only"]}
    assert_repaired(account, sim)
