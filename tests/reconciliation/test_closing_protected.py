"""A batch closes a protected position: exits are cancelled, that is proven, the close is sent; or it is not sent."""

import signal
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from broker.models import ProtectionPlan
from orders import chain_carrying
from orders.chain_carrying import carry_chains, has_chains_to_carry
from orders.chain_models import PATIENCE, CancelFirst
from orders.checking import check_batch
from orders.halting import halt_batch, halt_sending, resume_sending
from orders.models import Order, OrderChange
from orders.recording import record_batch
from orders.releasing import release_batch
from orders.sending import execute_batch
from positions import protecting
from positions.models import Position
from reconciliation.models import Run
from reconciliation.protection import Coverage
from reconciliation.protection_board import protection_board
from tests.orders.conftest import orders_at_broker
from tests.orders.processes import end, start_module
from tests.reconciliation.plan_worker import pass_by
from tests.reconciliation.steps import kinds, open_books, reconcile
from tests.simulation import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

ENTRY = "symbol,side,qty\nQCOM,buy,10\n"
CLOSE = "symbol,side,qty,cancel_exits_first\nQCOM,sell,10,true\n"
POINTS = (
    "chain_read", "chain_before_commit", "chain_begun", "before_claim", "after_answer", "before_commit",
    "after_commit", "chain_proving", "chain_proven",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch, settings):
    monkeypatch.setattr(protecting, "QUIET", timedelta(0))
    settings.NOT_PLACED_AFTER_SECONDS = 0.5
    settings.NOT_PLACED_LOOKUPS = 2


@pytest.fixture
def account(sim, sim_account):
    """Ten QCOM, guarded by the OCO of the account's plan."""
    sim.price("QCOM", "100")
    open_books(sim_account)
    sim_account.protection_plan = ProtectionPlan.OCO
    sim_account.save()
    execute(submit(sim_account, ENTRY))
    until(sim_account, lambda: len(live_exits(sim)) == 2, "its exits")
    wait_for(lambda: pass_by(sim_account) == 0, "a pass with nothing to do")
    return sim_account


def submit(account, text=CLOSE, **given):
    now = timezone.now()
    checked = check_batch(account=account, data=text.encode(), filename="close.csv", now=now, **given)
    assert checked.errors == ()
    batch = record_batch(account=account, checked=checked, actor="ops", now=now, scheduled_for=None)
    release_batch(batch=batch, actor="ops", now=now)
    return batch


def execute(batch):
    execute_batch(batch_id=batch.pk, now=timezone.now())
    return batch


def until(account, done, what):
    def look_again():
        pass_by(account)
        return done()

    return wait_for(look_again, what)


def live_exits(sim):
    live = ("new", "accepted", "held", "partially_filled", "pending_cancel")
    return sorted(row["status"] for row in orders_at_broker(sim) if row["side"] == "sell" and row["status"] in live)


def close_of(batch):
    return batch.orders.select_related("cancel_first").get()


def closed(account):
    until(account, lambda: Position.objects.get().state == "closed", "the close")


def assert_in_sync(account):
    wait_for(lambda: pass_by(account) == 0, "a pass with nothing to do")
    run = reconcile(account)
    assert (run.state, kinds(account)) == (Run.State.IN_SYNC, {})


def assert_guarded_again(sim, account):
    """The plan has placed the exits anew, and nothing differs."""
    until(account, lambda: len(live_exits(sim)) == 2, "its exits again")
    assert_in_sync(account)
    [row] = protection_board(account, timezone.now()).rows
    assert row.protection.coverage == Coverage.COVERED


def test_without_the_option_alpaca_refuses_and_the_exits_stay(sim, account):
    order = close_of(execute(submit(account, "symbol,side,qty\nQCOM,sell,10\n")))
    assert (order.submission_state, len(live_exits(sim))) == ("rejected", 2)


def test_exits_are_cancelled_and_proven_and_then_the_close_is_sent(sim, account):
    order = close_of(execute(submit(account)))
    assert (order.submission_state, order.cancel_first.state) == ("confirmed", "proven")
    assert [e.kind for e in order.events.order_by("pk")][:4] == ["recorded", "cancel_first", "cancel_first", "claimed"]
    closed(account)
    assert live_exits(sim) == []
    assert_in_sync(account)
    # One entry, one OCO of the plan, one close: nothing was placed in between.
    assert len(sim.requests("POST", "/v2/orders")) == 3
    assert len(sim.requests("DELETE")) == OrderChange.objects.count() == 1


def test_the_switch_gives_the_option_to_what_closes(sim, account):
    order = close_of(execute(submit(account, "symbol,side,qty\nQCOM,sell,10\n", cancel_exits_first=True)))
    assert order.cancel_first.state == "proven"
    closed(account)


def test_the_plan_places_nothing_while_the_cancels_are_not_proven(sim, account, monkeypatch):
    monkeypatch.setattr(chain_carrying, "_is_proven", lambda *_: False)
    order = close_of(execute(submit(account)))
    assert (order.submission_state, order.cancel_first.state) == ("recorded", "cancelling")
    assert live_exits(sim) == []
    for _ in range(3):
        assert pass_by(account) == 0
    assert live_exits(sim) == []
    CancelFirst.objects.update(began_at=timezone.now() - PATIENCE)
    execute(order.batch)
    order = close_of(order.batch)
    assert (order.submission_state, order.cancel_first.state) == ("denied", "given_up")
    assert "not proven within half a minute" in order.refusal
    assert len(sim.requests("POST", "/v2/orders")) == 2
    assert_guarded_again(sim, account)


def test_a_refused_close_leaves_a_position_that_the_plan_guards_again(sim, account):
    sim.fault("status", "POST", "/v2/orders", status=403, body='{"code": 40310000, "message": "not today"}')
    assert close_of(execute(submit(account))).submission_state == "rejected"
    assert_guarded_again(sim, account)


def test_a_fill_before_the_cancel_arrives_ends_it(sim, account, monkeypatch):
    def too_late(**_):
        sim.price("QCOM", "117")
        wait_for(lambda: not live_exits(sim), "the target")

    monkeypatch.setattr(chain_carrying, "carry_out_changes", too_late)
    order = close_of(execute(submit(account)))
    assert (order.submission_state, order.cancel_first.state) == ("denied", "given_up")
    assert "was filled meanwhile: 10" in order.refusal
    monkeypatch.undo()
    monkeypatch.setattr(protecting, "QUIET", timedelta(0))
    assert len(sim.requests("POST", "/v2/orders")) == 2
    closed(account)
    assert_in_sync(account)


def test_the_kill_switch_holds_the_cancels_too(sim, account):
    batch = submit(account)
    halt_sending(account=account, actor="ops", reason="test", now=timezone.now())
    execute(batch)
    assert not has_chains_to_carry(account.pk, timezone.now())
    assert (close_of(batch).cancel_first.state, len(live_exits(sim))) == ("waiting", 2)
    resume_sending(account=account, actor="ops", reason="test", now=timezone.now())
    execute(batch)
    closed(account)


def test_halted_between_the_record_of_the_cancels_and_their_sending(sim, account, monkeypatch):
    monkeypatch.setattr(chain_carrying, "carry_out_changes", lambda **_: None)
    monkeypatch.setattr(chain_carrying, "_LOOKS", (0.0,))
    batch = execute(submit(account))
    monkeypatch.undo()
    monkeypatch.setattr(protecting, "QUIET", timedelta(0))
    halt_sending(account=account, actor="ops", reason="test", now=timezone.now())
    pass_by(account)
    assert (len(live_exits(sim)), OrderChange.objects.get().state) == (2, "recorded")
    halt_batch(batch=batch, actor="ops", reason="not any more", now=timezone.now())
    carry_chains(account_id=account.pk, now=timezone.now())
    assert (close_of(batch).cancel_first.state, OrderChange.objects.get().state) == ("given_up", "refused")
    resume_sending(account=account, actor="ops", reason="test", now=timezone.now())
    assert_guarded_again(sim, account)
    assert sim.requests("DELETE") == []


def test_proven_and_not_sent_in_time_is_denied(sim, account):
    batch = submit(account)
    carry_chains(account_id=account.pk, now=timezone.now())
    assert close_of(batch).cancel_first.state == "proven"
    CancelFirst.objects.update(proven_at=timezone.now() - PATIENCE)
    order = close_of(execute(batch))
    assert (order.submission_state, order.cancel_first.state) == ("denied", "given_up")
    assert_guarded_again(sim, account)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(sim, account, point):
    batch = submit(account)
    status, output = end(start_module(sim, "tests.orders.chainer", str(account.pk), CRASH_POINT=point))
    assert status == -signal.SIGKILL, output
    wait_for(lambda: execute(batch) and pass_by(account) is not None and settled(batch), "the end", seconds=25)
    assert close_of(batch).submission_state == "confirmed"
    closed(account)
    assert_in_sync(account)
    assert (len(sim.requests("POST", "/v2/orders")), len(sim.requests("DELETE"))) == (3, 1)


def test_killed_before_a_cancel_left_nothing_is_sent_and_the_exits_stay(sim, account):
    """It is not known whether that cancel left, and nothing is asked of Alpaca twice: a person looks anew."""
    batch = submit(account)
    status, output = end(start_module(sim, "tests.orders.chainer", str(account.pk), CRASH_POINT="after_claim"))
    assert status == -signal.SIGKILL, output
    wait_for(lambda: execute(batch) and settled(batch), "the end", seconds=25)
    assert "could not be cancelled" in close_of(batch).refusal
    assert sim.requests("DELETE") == []
    assert_guarded_again(sim, account)


def settled(batch):
    return close_of(batch).submission_state in {"confirmed", "denied", "rejected"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("symbol,side,qty,cancel_exits_first\nQCOM,sell,11,true\n", "closes what is held"),
        ("symbol,side,qty,cancel_exits_first\nQCOM,buy,1,true\n", "closes what is held"),
        ("symbol,side,qty,cancel_exits_first\nQCOM,sell,4,true\nQCOM,sell,6,\n", "no other order in QCOM"),
        ("symbol,side,notional,cancel_exits_first\nQCOM,sell,100,true\n", "so many shares"),
    ],
)
def test_lines_that_may_not_have_it(account, text, expected):
    checked = check_batch(account=account, data=text.encode(), filename="close.csv", now=timezone.now())
    assert [error.field for error in checked.errors] == ["cancel_exits_first"]
    assert expected in checked.errors[0].message


def test_by_the_pages(sim, account, client, people):
    from django.core.files.uploadedfile import SimpleUploadedFile

    client.force_login(people.ops)
    file = SimpleUploadedFile("close.csv", b"symbol,side,qty\nQCOM,sell,10\n")
    page = client.post(reverse("orders:batch-upload"), {"file": file, "cancel_exits_first": "on"})
    assert "nothing guards them" in page.content.decode()
    sent = {"file": page.context["signed"], "when": "now"}
    assert client.post(reverse("orders:batch-confirm"), sent).status_code == 302
    order = Order.objects.get(side="sell", batch__name="close.csv")
    execute(order.batch)
    shown = client.get(reverse("orders:order", args=[order.pk])).content.decode()
    assert "Every cancel is proven" in shown
    assert "Exits to be cancelled first" in shown
    assert Decimal(close_of(order.batch).cancel_first.held) == 10
