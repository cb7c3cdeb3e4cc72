"""A NOT_PLACED order goes again only because a person wants it, once, under its own id, and after a fresh look."""

import re
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEntry
from broker.models import Account
from orders.errors import WrongState
from orders.models import Batch, Order
from orders.sending import execute_batch
from orders.sending_again import ordered_since, propose, reason_against, send_again
from tests.factories import make_batch, make_order
from tests.orders.conftest import orders_at_broker, posts, record
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(sim_account: Account) -> Order:
    """Sent once, and proven absent."""
    batch = record(sim_account)
    Batch.objects.filter(pk=batch.pk).update(state="finished", finished_at=timezone.now())
    batch.orders.update(submission_state="not_placed", send_count=1, refusal="Not at Alpaca after 4 look-ups.")
    return Order.objects.select_related("account", "batch").get(batch=batch)


def batch_of(order: Order) -> Batch:
    return Batch.objects.get(orders=order)


def execute(order: Order) -> None:
    execute_batch(batch_id=batch_of(order).pk, now=timezone.now())


def client_of(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def go(order: Order):
    shown = propose(order=order, actor="ops", now=timezone.now()).warnings
    return send_again(order=order, shown_warnings=shown, actor="ops", now=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_it_goes_again_under_the_same_id(order: Order, sim: SimAccount) -> None:
    assert go(order).may_go_on
    batch = batch_of(order)
    assert (order.submission_state, batch.state, batch.finished_at) == ("recorded", "released", None)
    execute(order)
    order.refresh_from_db()
    assert (order.submission_state, order.send_count) == ("confirmed", 2)
    assert batch_of(order).state == "finished"
    (there,) = orders_at_broker(sim)
    assert there["client_order_id"] == order.client_order_id
    entry = AuditEntry.objects.get(action="order.sent_again")
    assert (entry.actor, entry.subject_id, entry.before["submission_state"]) == ("ops", str(order.pk), "not_placed")


@pytest.mark.django_db(transaction=True)
def test_twice_is_once(order: Order, sim: SimAccount) -> None:
    late = Order.objects.select_related("account", "batch").get(pk=order.pk)
    go(order)
    with pytest.raises(WrongState):
        go(late)
    assert AuditEntry.objects.filter(action="order.sent_again").count() == 1
    execute(order)
    execute(order)
    assert len(posts(sim)) == 1


def test_one_that_is_there_after_all_is_booked_and_not_sent(order: Order, sim: SimAccount) -> None:
    sim.api("POST", "/v2/orders", json=body_of(order))
    before = len(posts(sim))
    assert go(order).found
    order.refresh_from_db()
    assert order.submission_state == "confirmed"
    assert len(posts(sim)) == before
    assert not AuditEntry.objects.filter(action="order.sent_again").exists()


def body_of(order: Order) -> dict[str, str]:
    return {
        "symbol": order.symbol,
        "side": order.side,
        "qty": "10",
        "type": "market",
        "time_in_force": "day",
        "client_order_id": order.client_order_id,
    }


@pytest.mark.django_db(transaction=True)
def test_an_order_that_was_placed_in_between_is_refused_by_its_id_and_found(order: Order, sim: SimAccount) -> None:
    """The guard behind the look-up: the first attempt arrives after it."""
    go(order)
    sim.api("POST", "/v2/orders", json=body_of(order))
    execute(order)
    order.refresh_from_db()
    assert order.submission_state == "confirmed"
    assert len(orders_at_broker(sim)) == 1


def test_it_is_checked_anew(order: Order, sim_account: Account) -> None:
    Account.objects.filter(pk=sim_account.pk).update(max_order_notional="1")
    proposal = go(order)
    assert "an order of at most $1.00" in proposal.reasons_against[0]
    order.refresh_from_db()
    assert order.submission_state == "not_placed"


def test_the_same_ordered_since_is_said(order: Order) -> None:
    other = make_order(order.account, symbol=order.symbol, recorded_at=timezone.now())
    warnings = propose(order=order, actor="ops", now=timezone.now()).warnings
    assert f"bought again since, or is to be: order {other.pk}." in warnings[0]


def test_what_changed_since_it_was_shown_is_not_sent(order: Order) -> None:
    now = timezone.now()
    shown = propose(order=order, actor="ops", now=now).warnings
    make_order(order.account, symbol=order.symbol, recorded_at=now)
    proposal = send_again(order=order, shown_warnings=shown, actor="ops", now=now)
    assert "again since" in proposal.warnings[0]
    order.refresh_from_db()
    assert order.submission_state == "not_placed"
    assert batch_of(order).state == "finished"
    assert not AuditEntry.objects.filter(action="order.sent_again").exists()


def test_only_the_same_side_after_it_is_the_same_again(order: Order) -> None:
    earlier = order.recorded_at - timedelta(days=1)
    make_order(order.account, symbol=order.symbol, recorded_at=earlier)
    make_order(order.account, symbol=order.symbol, side="sell", recorded_at=timezone.now())
    make_order(order.account, symbol="KO", recorded_at=timezone.now())
    make_order(order.account, symbol=order.symbol, submission_state="denied", recorded_at=timezone.now())
    assert ordered_since([order]) == []
    assert ordered_since([]) == []
    many = [make_order(order.account, symbol=order.symbol, recorded_at=timezone.now()).pk for _ in range(6)]
    (text,) = ordered_since([order, order])
    assert f"order {', '.join(map(str, many[:5]))} and more." in text


@pytest.mark.parametrize("state", ["recorded", "submitting", "unconfirmed", "denied", "rejected"])
def test_no_other_state_may_be_sent_again(state: str) -> None:
    order = make_order(submission_state=state, batch=make_batch(state="finished"))
    assert "proven absent" in reason_against(order)


@pytest.mark.parametrize(("batch_state", "reason"), [("halted", "halted by a person"), ("released", "still under way")])
def test_its_batch_must_be_finished(batch_state: str, reason: str) -> None:
    order = make_order(submission_state="not_placed", batch=make_batch(state=batch_state))
    assert reason in reason_against(order)


def test_what_alpaca_knew_once_is_no_matter_of_sending() -> None:
    order = make_order(submission_state="not_placed", broker_order_id="b-1", batch=make_batch(state="finished"))
    assert "matter for reconciliation" in reason_against(order)
    assert "no batch" in reason_against(make_order(submission_state="not_placed"))


# --- The page -----------------------------------------------------------------------------------------------------


def test_ops_see_what_it_would_meet_and_then_send_it(order: Order, people: SimpleNamespace) -> None:
    ops = client_of(people.ops)
    path = f"/orders/{order.pk}/again/"
    assert path in ops.get(order.get_absolute_url()).content.decode()
    text = ops.get(path).content.decode()
    assert order.client_order_id in text
    assert "Check with Alpaca" in text
    assert 'name="confirmed"' not in text
    text = ops.post(path, {"check": "1"}).content.decode()
    assert 'name="confirmed"' in text
    order.refresh_from_db()
    assert order.submission_state == "not_placed", "checking sends nothing"
    answer = ops.post(path, yes_to(text), follow=True).content.decode()
    assert "leaves again, under the same id" in answer
    assert OrmQ.objects.count() == 1
    assert "Only an order that is proven absent" in ops.get(path).content.decode()
    assert "Only an order that is proven absent" in ops.post(path, yes_to(text)).content.decode()
    assert OrmQ.objects.count() == 1


def yes_to(text: str) -> dict[str, object]:
    """What the form of the shown page sends."""
    return {"confirmed": "1", "shown": [unescape(shown) for shown in re.findall(r'name="shown" value="([^"]*)"', text)]}


def test_a_yes_to_another_picture_shows_the_new_one(order: Order, people: SimpleNamespace) -> None:
    ops = client_of(people.ops)
    path = f"/orders/{order.pk}/again/"
    first = ops.post(path, {"check": "1"}).content.decode()
    make_order(order.account, symbol=order.symbol, recorded_at=timezone.now())
    assert "Do you want it twice?" in ops.get(path).content.decode()
    second = ops.post(path, yes_to(first)).content.decode()
    assert "This is another picture by now: look again" in second
    assert "Do you want it twice?" in second
    assert OrmQ.objects.count() == 0
    assert "leaves again" in ops.post(path, yes_to(second), follow=True).content.decode()


def test_looking_asks_alpaca_nothing_and_books_nothing(order: Order, people: SimpleNamespace, sim: SimAccount) -> None:
    sim.api("POST", "/v2/orders", json=body_of(order))
    ops = client_of(people.ops)
    path = f"/orders/{order.pk}/again/"
    with patch("orders.sending_again.open_gateway", side_effect=AssertionError):
        assert ops.get(path).status_code == 200
        assert ops.head(path).status_code == 200
    order.refresh_from_db()
    assert order.submission_state == "not_placed"
    assert "at Alpaca after all" in ops.post(path, {"check": "1"}, follow=True).content.decode()
    order.refresh_from_db()
    assert order.submission_state == "confirmed"


def test_a_trader_may_not(order: Order, people: SimpleNamespace) -> None:
    trader = client_of(people.trader)
    path = f"/orders/{order.pk}/again/"
    assert path not in trader.get(order.get_absolute_url()).content.decode()
    assert trader.get(path).status_code == 403
    assert trader.post(path).status_code == 403


def test_nothing_goes_while_alpaca_cannot_be_asked(order: Order, people: SimpleNamespace, settings) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    settings.BROKER_CONNECT_TIMEOUT = 0.2
    ops = client_of(people.ops)
    for posted in ({"check": "1"}, {"confirmed": "1"}):
        assert "Nothing was sent." in ops.post(f"/orders/{order.pk}/again/", posted).content.decode()
    order.refresh_from_db()
    assert order.submission_state == "not_placed"
