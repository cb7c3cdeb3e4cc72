"""What an import writes many at once is what booking one by one writes."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, models

from broker.history_pages import as_order, orders_of
from broker.mapping import to_activity, to_order
from broker.models import Account
from broker.times import moment
from broker.types import BrokerFill, BrokerOrder
from orders.booking import book_fill, import_order
from orders.errors import OrdersMissing
from orders.history import import_fills, import_orders
from orders.models import Fill, Order
from tests.broker.samples import order_row
from tests.factories import make_account
from work import correlation

pytestmark = pytest.mark.django_db

NOW = moment("2025-11-07T14:30:00.123456Z")
#: Terms and states as Alpaca lists them; each is a row beside what all have.
MIXED: tuple[dict[str, Any], ...] = (
    {"status": "filled", "filled_qty": "10", "filled_avg_price": "100.123456789", "filled_at": "2025-11-06T15:00:00Z"},
    {"status": "partially_filled", "filled_qty": "3.000000001", "filled_avg_price": "99.5"},
    {"status": "canceled", "canceled_at": "2025-11-06T15:00:00.5-05:00", "type": "limit", "limit_price": "0.0001"},
    {"status": "canceled", "filled_qty": "4", "filled_avg_price": "100", "canceled_at": "2025-11-06T15:00:00Z"},
    {"status": "rejected", "failed_at": "2025-11-06T14:30:00.000000001Z", "side": "sell"},
    {"status": "expired", "expired_at": "2025-11-06T21:00:00Z", "type": "stop_limit", "stop_price": "1E+2"},
    {"status": "replaced", "replaced_by": "id-7", "replaced_at": "2025-11-06T15:00:00Z"},
    {"status": "new", "replaces": "id-6", "extended_hours": True},
    {"status": "filled", "order_class": "bracket", "filled_qty": "10", "raw_group": "group-1"},
    {"status": "held", "order_class": "bracket", "side": "sell", "type": "stop", "stop_price": "80", "qty": "10"},
    {"status": "canceled", "order_class": "bracket", "side": "sell", "type": "limit", "limit_price": "120"},
    {"status": "filled", "qty": None, "notional": "1000.55", "filled_qty": "0.333333333", "subtag": "desk"},
    {"status": "accepted", "type": "trailing_stop", "trail_percent": "1.5", "symbol": "BTC/USD"},
    {"status": "a_word_of_tomorrow", "symbol": "É", "client_order_id": ""},
)


def order(number: int, **fields: Any) -> dict[str, Any]:
    spelled = f"{number // 60:02d}:{number % 60:02d}"
    at = f"2025-11-06T14:{spelled}.123456789Z"
    row = {
        "id": f"id-{number}", "client_order_id": f"theirs-{number}", "symbol": "QCOM", "side": "buy", "type": "market",
        "order_class": "", "time_in_force": "day", "qty": "10", "filled_qty": "0", "extended_hours": False,
        "created_at": at, "submitted_at": at, "updated_at": f"2025-11-06T15:{spelled}Z", "legs": None,
    }  # fmt: skip
    return row | fields


def fill(number: int, order_number: int, **fields: Any) -> dict[str, Any]:
    row = {
        "id": f"20251106::{number}", "activity_type": "FILL", "order_id": f"id-{order_number}", "symbol": "QCOM",
        "side": "buy", "qty": "3", "price": "99.5", "cum_qty": "3", "leaves_qty": "0", "type": "fill",
        "transaction_time": f"2025-11-06T15:00:{number:02d}.000001Z",
    }  # fmt: skip
    return row | fields


ORDERS = [to_order(order(number, **fields)) for number, fields in enumerate(MIXED)]
FILLS = [
    to_activity(row)
    for row in (
        fill(1, 0, qty="4", price="100.12"),
        fill(2, 0, qty="6", leaves_qty="0"),
        fill(3, 1, qty="3.000000001", type="partial_fill", leaves_qty="6.999999999"),
        fill(4, 3, qty="4", side="sell"),  # of a canceled order
        fill(5, 8, qty="14", side="sell_short", price="0.00010"),  # through nothing held
        fill(6, 11, qty="0.333333333", transaction_time="2025-11-06T15:00:06-05:00"),
    )
]


def columns(rows: "models.QuerySet[Any]", *, without: Sequence[str]) -> list[dict[str, object]]:
    names = [field.attname for field in rows.model._meta.concrete_fields if field.attname not in without]
    return list(rows.order_by("pk").values(*names))


def imported(account: Account, orders: list[BrokerOrder], now: datetime) -> int:
    return import_orders(account=account, orders=orders, origin="import", now=now, actor="test")


def test_orders_are_the_rows_that_one_by_one_would_be() -> None:
    quick, slow = make_account("quick"), make_account("slow")
    with correlation.carrying("import-1"):
        assert imported(quick, ORDERS, NOW) == len(MIXED)
        for facts in ORDERS:
            import_order(account=slow, facts=facts, origin="import", now=NOW, actor="test")
    rows = columns(Order.objects.filter(account=quick), without=["id", "account_id"])
    assert rows == columns(Order.objects.filter(account=slow), without=["id", "account_id"])
    assert [row["raw"] for row in rows] == [dict(facts.raw) for facts in ORDERS]
    assert {row["correlation_id"] for row in rows} == {"import-1"}


def test_fills_are_the_rows_that_one_by_one_would_be() -> None:
    quick, slow = make_account("quick"), make_account("slow")
    for account in (quick, slow):
        imported(account, ORDERS, NOW)
    fills = [row for row in FILLS if isinstance(row, BrokerFill)]
    assert import_fills(account=quick, fills=fills, now=NOW) == len(FILLS)
    for row in fills:
        mine = Order.objects.get(account=slow, broker_order_id=row.broker_order_id)
        book_fill(order=mine, fill=row, now=NOW, actor="test")
    without = ["id", "account_id", "order_id"]
    rows = columns(Fill.objects.filter(account=quick), without=without)
    assert rows == columns(Fill.objects.filter(account=slow), without=without)
    assert [f.order.broker_order_id for f in Fill.objects.filter(account=quick).order_by("pk")] == [
        row.broker_order_id for row in fills
    ]


@pytest.mark.parametrize(("count", "steps"), [(1, 1), (24, 24), (25, 1), (250, 1), (276, 3), (500, 2)])
def test_many_rows_are_written_in_their_sequence(count: int, steps: int) -> None:
    """On SQLite a page is cut into two statements, which other threads need not wait for row by row."""
    account, taken = make_account(), 0

    def count_steps(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal taken
        if sql.startswith("INSERT INTO"):
            taken += len(params) if many else 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count_steps):
        imported(account, [to_order(order(number, status="new")) for number in range(count)], NOW)
    ids = Order.objects.filter(account=account).order_by("pk").values_list("broker_order_id", flat=True)
    assert list(ids) == [f"id-{number}" for number in range(count)]
    assert taken == (steps if connection.vendor == "sqlite" else count)


def test_the_text_of_a_row_is_stored_as_it_came() -> None:
    account = make_account()
    rows = [order_row(id="1", client_order_id="1", source="\n"), order_row(id="2", client_order_id="2", source=1.5)]
    orders = [as_order(row) for row in orders_of(json.dumps(rows, separators=(" ,  ", " : ")).encode())]
    assert [facts.raw_text is not None for facts in orders] == [True, False], "a float is no text of ours"
    imported(account, orders, NOW)
    kept = Order.objects.filter(account=account).order_by("pk")
    assert list(kept.values_list("raw", flat=True)) == [rows[0], rows[1] | {"source": "1.5"}]


def test_fills_without_an_order_name_it_and_book_nothing() -> None:
    account = make_account()
    imported(account, ORDERS[:1], NOW)
    with pytest.raises(OrdersMissing, match="before their orders") as missing:
        import_fills(account=account, fills=[row for row in FILLS if isinstance(row, BrokerFill)], now=NOW)
    assert missing.value.broker_order_ids == ["id-1", "id-11", "id-3", "id-8"]
    assert not Fill.objects.exists()
