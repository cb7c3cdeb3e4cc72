"""Facts come in any order, twice and late: what is booked is the newest of them, each fill once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from broker.types import BrokerFill, BrokerOrder
from orders.booking import book_facts, book_fill, book_order, import_order
from orders.errors import OrdersError
from orders.history import import_fills, import_orders
from orders.models import Fill, Order
from tests.factories import NOW, make_account, make_order

ID = "00000000-0000-4000-8000-00000000abcd"


def facts(status="new", *, seconds=0, filled="0", **fields):
    at = NOW + timedelta(seconds=seconds)
    empty = dict.fromkeys(("notional", "limit_price", "stop_price", "trail_price", "trail_percent"))
    empty |= dict.fromkeys(("filled_at", "canceled_at", "expired_at", "failed_at", "replaced_at"))
    given = {
        "broker_order_id": ID, "client_order_id": "ts-1-2-abc", "symbol": "AAPL", "asset_id": "id-AAPL", "side": "buy",
        "order_type": "market", "order_class": "", "time_in_force": "day", "qty": Decimal(10), "extended_hours": False,
        "status": status, "filled_qty": Decimal(filled), "filled_avg_price": Decimal(5) if filled != "0" else None,
        "created_at": NOW, "updated_at": at, "submitted_at": NOW, "replaces": "", "replaced_by": "", "subtag": "",
        "leg_ids": (), "raw": {"status": status},
    }  # fmt: skip
    return BrokerOrder(**{**empty, **given, **fields})


def fill(number=1, qty="10", **fields):
    given = {
        "activity_id": f"20251107093000000::{number}", "broker_order_id": ID, "symbol": "AAPL", "side": "buy",
        "qty": Decimal(qty), "price": Decimal(5), "cum_qty": None, "leaves_qty": None,
        "transaction_time": NOW, "raw": {},
    }  # fmt: skip
    return BrokerFill(**{**given, **fields})


def linked(**fields):
    return make_order(symbol="AAPL", broker_order_id=ID, client_order_id="ts-1-2-abc", **fields)


def book(order, news):
    return book_order(order=order, facts=news, now=NOW, actor="test")


@pytest.mark.django_db
def test_news_is_copied_and_told_once():
    order = linked(status="pending_new")
    assert book(order, facts("filled", seconds=1, filled="10"))
    order.refresh_from_db()
    assert (order.status, order.filled_qty, order.filled_avg_price) == ("filled", Decimal(10), Decimal(5))
    assert [event.text for event in order.events.all()] == ["pending_new → filled, 10 filled at 5"]
    assert not book(order, facts("filled", seconds=1, filled="10"))
    assert order.events.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "stale",
    [
        facts("new", seconds=-1),
        facts("partially_filled", seconds=5, filled="3"),  # an end is never taken back
        facts("filled", seconds=1, filled="9"),
        facts("filled", seconds=1, updated_at=None),
    ],
)
def test_older_news_changes_nothing(stale):
    order = linked(status="pending_new")
    book(order, facts("filled", seconds=1, filled="10"))
    assert not book(order, stale)
    order.refresh_from_db()
    assert (order.status, order.filled_qty) == ("filled", Decimal(10))


@pytest.mark.django_db
def test_a_bust_takes_the_filled_quantity_back():
    order = linked(status="filled")
    book(order, facts("filled", seconds=1, filled="10"))
    assert book(order, facts("filled", seconds=9, filled="0"))
    order.refresh_from_db()
    assert order.filled_qty == 0


@pytest.mark.django_db
def test_unknown_words_are_kept_as_they_came():
    order = linked(status="new")
    book(order, facts("frobbed", seconds=1, raw={"status": "frobbed", "new_field": [1]}))
    order.refresh_from_db()
    assert order.status == "frobbed"
    assert order.raw == {"status": "frobbed", "new_field": [1]}


@pytest.mark.django_db
def test_a_replacement_is_noted_on_both_sides():
    order = linked(status="new")
    book(order, facts("replaced", seconds=1, replaced_by="other", replaces="older"))
    order.refresh_from_db()
    assert (order.replaced_by, order.replaces) == ("other", "older")


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["recorded", "submitting", "unconfirmed", "not_placed", "rejected", "denied"])
def test_what_alpaca_has_is_confirmed_whatever_we_thought(state):
    order = make_order(symbol="AAPL", submission_state=state, client_order_id="ts-1-2-abc", refusal="?")
    assert book(order, facts())
    order.refresh_from_db()
    assert (order.submission_state, order.broker_order_id, order.refusal) == ("confirmed", ID, "")
    assert order.confirmed_at == NOW


@pytest.mark.django_db
def test_facts_of_another_order_are_refused():
    with pytest.raises(OrdersError):
        book(linked(), facts(broker_order_id="other"))
    with pytest.raises(OrdersError):
        book(make_order(submission_state="submitting"), facts())
    with pytest.raises(OrdersError):
        book_fill(order=linked_other(), fill=fill(), now=NOW, actor="test")


def linked_other():
    return make_order(symbol="AAPL")


@pytest.mark.django_db
def test_an_order_is_booked_when_its_fills_sum_up():
    order = linked(status="new")
    book_facts(order_id=order.pk, facts=facts("filled", seconds=1, filled="10"), now=NOW, actor="test")
    order.refresh_from_db()
    assert not order.is_booked
    book_facts(order_id=order.pk, facts=None, fills=[fill(1, "4"), fill(2, "6")], now=NOW, actor="test")
    order.refresh_from_db()
    assert order.is_booked
    book_facts(order_id=order.pk, facts=None, fills=[fill(1, "4"), fill(2, "6")], now=NOW, actor="test")
    assert Fill.objects.count() == 2


@pytest.mark.django_db
def test_a_cancelled_order_without_fills_is_booked_at_once():
    order = linked(status="new")
    book(order, facts("canceled", seconds=1))
    assert order.is_booked


@pytest.mark.django_db
def test_short_sales_are_sells():
    booked = book_fill(order=linked(side="sell"), fill=fill(side="sell_short"), now=NOW, actor="test")
    assert booked is not None
    assert booked.side == "sell"


@pytest.mark.django_db(transaction=True)
def test_a_fill_that_comes_to_several_at_once_is_booked_once():
    order = linked(status="filled", filled_qty="10")
    barrier = threading.Barrier(4)

    def run(_):
        try:
            barrier.wait()
            return book_facts(order_id=order.pk, facts=None, fills=[fill()], now=NOW, actor="test")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert Fill.objects.count() == 1
    assert order.events.filter(kind="fill").count() == 1


LIFE = [
    facts("pending_new", seconds=0),
    facts("new", seconds=1),
    facts("partially_filled", seconds=2, filled="4"),
    facts("filled", seconds=3, filled="10"),
]


@given(st.lists(st.sampled_from(LIFE), min_size=1, max_size=8))
def test_any_order_of_arrival_ends_at_the_newest(news):
    from orders.booking import _facts, _is_news

    order = Order(status="", filled_qty=Decimal(0))
    for item in news:
        if _is_news(order, item):
            for name, value in _facts(item).items():
                setattr(order, name, value)
    newest = max(news, key=lambda item: item.updated_at)
    assert (order.status, order.filled_qty) == (newest.status, newest.filled_qty)


@pytest.mark.django_db
def test_an_order_is_imported_once_and_linked_to_our_own():
    account = make_account()
    first = import_order(account=account, facts=facts("filled", filled="10"), origin="backfill", now=NOW, actor="test")
    again = import_order(account=account, facts=facts("filled", filled="10"), origin="backfill", now=NOW, actor="test")
    assert first.pk == again.pk
    ours = make_order(submission_state="unconfirmed", client_order_id="ts-9", symbol="AAPL")
    news = facts(client_order_id="ts-9", broker_order_id="other")
    assert import_order(account=account, facts=news, origin="backfill", now=NOW, actor="test").pk == ours.pk
    ours.refresh_from_db()
    assert (ours.submission_state, ours.origin, ours.broker_order_id) == ("confirmed", "batch", "other")


@pytest.mark.django_db
def test_pages_of_history_may_be_read_twice(django_assert_max_num_queries):
    account = make_account()
    page = [facts("filled", filled="1", broker_order_id=f"b{n}", client_order_id=f"c{n}") for n in range(30)]
    newer = replace(page[0], status="canceled", updated_at=NOW + timedelta(days=1))
    given: dict[str, Any] = {"account": account, "origin": "import", "now": NOW, "actor": "test"}
    with django_assert_max_num_queries(6):  # SQLite takes rows by the hundred, by the dozen and one by one
        assert import_orders(orders=[newer, *page], **given) == 30
    assert import_orders(orders=page, **given) == 0
    assert Order.objects.get(broker_order_id="b0").status == "canceled"
    fills = [fill(n, broker_order_id=f"b{n % 30}") for n in range(60)]
    with django_assert_max_num_queries(6):
        assert import_fills(account=account, fills=fills, now=NOW) == 60
    assert import_fills(account=account, fills=fills, now=NOW) == 0
    with pytest.raises(OrdersError, match="before their orders"):
        import_fills(account=account, fills=[fill(99, broker_order_id="missing")], now=NOW)
