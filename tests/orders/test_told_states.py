"""What a frame proves of a fill is written at once, by few statements and no request; the execution follows."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from broker.gateway import open_gateway
from broker.mapping import to_order
from broker.stream import Update
from orders.booking import book_facts
from orders.models import Fill, Order
from orders.streaming import Streaming
from orders.told_states import book_told
from positions.models import Position
from positions.rebuilding import rebuild_position
from tests.broker.samples import order_row
from tests.factories import make_account, make_order
from tests.orders.streams import fill, following, place, wait_booked
from tests.orders.test_cost_of_sending import counted
from tests.orders.test_stream_process import stream_of
from tests.positions.test_following_bookings import fill_of
from tests.simulation import wait_for

NOW = timezone.now()
T1, T2, T3 = (f"2025-11-06T13:00:0{second}Z" for second in (1, 2, 3))
LIST = ("GET", "/v2/account/activities/FILL")


def frame(**fields):
    filled = {"status": "filled", "filled_qty": "12", "filled_avg_price": "1.5", "updated_at": T2}
    return to_order(order_row(**{**filled, **fields}))


def known(**fields):
    facts = frame()
    ids = {"broker_order_id": facts.broker_order_id, "client_order_id": facts.client_order_id}
    return make_order(**{**ids, "qty": "12", "symbol": facts.symbol, **fields})


def tell(*frames):
    return sum(book_told(account_id=make_account().pk, told=[one], now=NOW, actor="system:stream") for one in frames)


def written(order):
    order.refresh_from_db()
    return order.status, order.filled_qty


def shown(order, status="filled"):
    order.refresh_from_db()
    return order.status == status


# --- One frame ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_fill_is_four_statements_and_leaves_state_evidence_and_a_step():
    order, facts = known(), frame()
    with counted() as statements:
        assert book_told(account_id=order.account_id, told=[facts], now=NOW, actor="system:stream") == 1
    # The test's own transaction makes a savepoint and its release of what is otherwise one BEGIN.
    kinds = [sql.split()[0] for sql in statements]
    assert kinds == ["SAVEPOINT", "SELECT", "UPDATE", "INSERT", "RELEASE"]
    assert written(order) == ("filled", 12)
    assert (order.filled_avg_price, order.broker_updated_at, order.raw) == (Decimal("1.5"), facts.updated_at, facts.raw)
    assert (order.filled_at, order.is_booked) == (facts.filled_at, False)
    step = order.events.get()
    assert (step.kind, step.text, step.actor) == ("status", "new → filled, 12 filled at 1.5", "system:stream")


@pytest.mark.django_db
def test_all_of_a_burst_is_one_transaction():
    order, facts = known(), frame()
    second = replace(facts, broker_order_id="second", client_order_id="second")
    known(broker_order_id="second", client_order_id="second")
    with counted() as statements:
        assert book_told(account_id=order.account_id, told=[facts, second], now=NOW, actor="x") == 2
    assert sum(sql.startswith("SAVEPOINT") for sql in statements) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("times", [[T1, T1, T2, T2], [T2, T1, T1], [T2, T2]])
def test_doubled_and_late_frames_change_nothing(times):
    order = known()
    part = {"status": "partially_filled", "filled_qty": "5", "updated_at": T1}
    tell(*(frame(**part) if time == T1 else frame() for time in times))
    assert written(order) == ("filled", 12)
    assert order.events.count() == len(dict.fromkeys(times)) - (times[0] == T2 and T1 in times)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        {"status": "canceled", "filled_qty": "2"},  # an end is not taken back here
        {"status": "partially_filled", "filled_qty": "12"},
        {"broker_updated_at": frame(updated_at=T3).updated_at},
        {"submission_state": "unconfirmed", "broker_order_id": "", "status": ""},
        {"origin": "external"},  # nobody would ask for the fills of its end any more
        {"origin": "import"},
    ],
)
def test_what_is_not_plain_is_left_to_the_rules_for_all_facts(fields):
    order = known(**fields)
    before = written(order)
    assert tell(frame()) == 0
    assert written(order) == before
    assert not order.events.exists()


@pytest.mark.django_db
def test_another_account_s_order_is_not_touched():
    order = known(account=make_account("paper"))
    assert tell(frame()) == 0
    assert written(order) == ("new", 0)


@pytest.mark.django_db
def test_a_bracket_keeps_the_legs_that_frames_do_not_name():
    legs = [{"id": "leg-1"}, {"id": "leg-2"}]
    order = known(order_class="bracket", raw={"legs": legs})
    assert tell(frame(order_class="bracket", legs=None)) == 1
    assert written(order) == ("filled", 12)
    assert order.raw["legs"] == legs


@pytest.mark.django_db
def test_an_end_that_is_told_after_its_fill_was_booked_lets_the_position_follow():
    """The exit seemed to work on: it would have been shown as the entry of the next position."""
    entry = make_order(status="filled", filled_qty="10", symbol=frame().symbol)
    book_facts(order_id=entry.pk, facts=None, fills=[fill_of(entry)], now=NOW, actor="x")
    order = known(side="sell", qty="10")
    sold = replace(fill_of(order), activity_id="20251107093000001::2", transaction_time=NOW)
    book_facts(order_id=order.pk, facts=None, fills=[sold], now=NOW, actor="x")
    assert Position.objects.filter(state="pending").exists()
    facts = frame(filled_qty="10")
    assert tell(facts) == 1
    book_facts(order_id=order.pk, facts=facts, now=NOW, actor="x")
    assert written(order) == ("filled", 10)
    assert order.is_booked
    assert [row.state for row in Position.objects.exclude(opened_at=None)] == ["closed"]
    assert not Position.objects.filter(state="pending").exists()


# --- On the stream ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_state_needs_no_request_and_the_entry_stays_pending_until_its_fill_is_listed(sim, sim_account):
    order = place(sim, sim_account)
    rebuild_position(account=sim_account, symbol=order.symbol, now=NOW)
    fill(sim, order, price="1.01")
    told = Update(timezone.now(), "fill", to_order(sim.order(order.client_order_id)))
    sim.fault("status", *LIST, times=None, status=500)
    streaming = Streaming(account=sim_account, open_gateway=lambda: open_gateway(sim_account))
    before = len(sim.requests())
    streaming.take([told, told], timezone.now())
    assert written(order) == ("filled", 10)
    assert (order.filled_avg_price, order.is_booked, Fill.objects.exists()) == (Decimal("1.01"), False, False)
    assert streaming.is_busy
    assert {r["path"] for r in sim.requests()[before:]} == {LIST[1]}
    rebuild_position(account=sim_account, symbol=order.symbol, now=NOW)
    assert Position.objects.get().state == "pending"
    sim.clear_faults()

    def has_settled():
        streaming.look_again(timezone.now())
        return not streaming.is_busy

    wait_for(has_settled, "its fill")
    order.refresh_from_db()
    assert (order.is_booked, Fill.objects.count(), Position.objects.get().state) == (True, 1, "open")
    assert order.events.filter(kind="status").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_kill_between_the_state_and_its_execution_loses_neither(sim, sim_account):
    order = place(sim, sim_account)
    sim.fault("status", *LIST, times=None, status=500)
    with stream_of(sim, sim_account) as process:
        fill(sim, order)
        wait_for(lambda: shown(order), "the state")
        process.kill()
    assert (written(order), order.is_booked) == (("filled", 10), False)
    sim.clear_faults()
    Order.objects.update(followed_at=timezone.now() - timedelta(seconds=1))
    with following(sim_account):
        wait_booked(order)
    assert (order.is_booked, Fill.objects.count()) == (True, 1)
