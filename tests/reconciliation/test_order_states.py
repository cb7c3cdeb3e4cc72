"""Orders that drift apart by their state and terms, made at the simulator: seen, repaired, in step, and undone.

Following is at rest here: it runs in the worker, which these tests do not start. It would book late fills, busts of
live orders and changed states by itself; a run sees them when it comes first.
"""

import html
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from broker.models import Account
from orders.models import Order, OrderChange
from positions.rebuilding import rebuild_positions
from reconciliation.applying import apply_fix
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.models import Fix, Run
from tests.reconciliation.mending import only_root, repair, shown, undo, working
from tests.reconciliation.rows import page
from tests.reconciliation.steps import backfill_all, books, open_books, open_roots, placed, reconcile, record_as
from tests.simulation import SimAccount, wait_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    sim.price("QCOM", "100")
    return sim_account


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
    assert "This is another order than the one that was wanted." in only_root(account, "terms_differ").sentence


def test_terms_that_moved_after_they_were_shown_are_not_written(account: Account, sim: SimAccount) -> None:
    raw = working(account, sim)
    sim.act("terms", order_id=raw["id"], limit_price="88.50")
    only_root(account, "terms_differ")
    sim.act("terms", order_id=raw["id"], limit_price="87")
    (fix,) = backfill_all(account).fixes
    assert (fix.state, Order.objects.get().limit_price) == (Fix.State.STALE, 90)


def test_terms_that_move_at_the_last_moment_are_refused(account: Account, sim: SimAccount) -> None:
    """Between the fresh run and the writing."""
    raw = working(account, sim)
    sim.act("terms", order_id=raw["id"], limit_price="88.50")
    only_root(account, "terms_differ")
    approve_fixes(fixes=Fix.objects.all(), actor="ops", now=timezone.now())
    Order.objects.update(limit_price=Decimal("70"))
    with pytest.raises(FixRefused, match="not any more those that were shown"):
        apply_fix(fix=Fix.objects.get(), now=timezone.now())
    assert Order.objects.get().limit_price == 70


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
    assert said in only_root(account, "refused_change").sentence
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
    assert only_root(account, "refused_change")


# --- What people see ----------------------------------------------------------------------------------------------


def test_pages_and_reports_tell_of_terms_and_changes(
    account: Account, sim: SimAccount, people: SimpleNamespace, client: Client
) -> None:
    raw = working(account, sim)
    OrderChange.objects.create(
        account=account, order=Order.objects.get(), broker_order_id=raw["id"], symbol="QCOM", action="replace",
        wanted={"limit_price": "91"}, state="done", requested_by="ops", requested_at=timezone.now(),
    )  # fmt: skip
    sim.act("terms", order_id=raw["id"], limit_price="88.50")
    assert set(shown(account)) == {"terms_differ", "refused_change"}
    client.force_login(people.ops)
    index = page(client)
    assert "limit price 88.5 instead of 90" in index
    assert "was to be changed to limit price 91" in index
    for fix in Fix.objects.proposed():
        assert fix.title in html.unescape(page(client, fix.get_absolute_url()))
    run = Run.objects.latest("pk")
    assert "Terms of the order differ" in page(client, f"/reconciliation/runs/{run.pk}/")
    call_command("report", str(run.pk), format="md", stdout=(out := StringIO()))
    assert "stands at Alpaca as it was" in out.getvalue()


def test_page_says_why_nothing_is_proposed(
    account: Account, sim: SimAccount, people: SimpleNamespace, client: Client
) -> None:
    working(account, sim)
    sim.fault("unknown_status", "GET", "/v2/orders", status="frobbed", times=None)
    shown(account)
    client.force_login(people.ops)
    assert "or this program learns it" in page(client)
