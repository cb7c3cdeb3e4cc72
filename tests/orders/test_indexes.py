"""Each id of an order stands in one index, which answers every question for it and keeps it from coming twice."""

import re
from collections import Counter
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from orders.models import Order
from tests.factories import make_account, make_order
from ui import paging

pytestmark = pytest.mark.django_db

#: Beside its own table. Each more is written to by every order.
MOST_INDEXES = 20


def indexes() -> dict[str, Any]:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Order._meta.db_table)
    return {name: index for name, index in found.items() if index["index"] or index["unique"]}


def plan(orders: "QuerySet[Order]") -> str:
    return orders.order_by().explain()


@pytest.mark.usefixtures("sqlite_only")
def test_random_words_stand_in_one_index_each() -> None:
    leading = Counter(index["columns"][1] for index in indexes().values() if len(index["columns"]) > 1)
    assert leading["client_order_id"] == leading["broker_order_id"] == 1
    assert len(indexes()) <= MOST_INDEXES


@pytest.mark.usefixtures("sqlite_only")
@pytest.mark.parametrize("column", ["client_order_id", "broker_order_id"])
def test_the_one_index_finds_an_id_ids_and_their_beginning(column: str) -> None:
    assert paging.Begins.lookup_name == "begins"
    mine = Order.objects.filter(account=make_account())
    for question in ({column: "a"}, {f"{column}__in": ["a", "b"]}, {f"{column}__begins": "a"}):
        seen = plan(mine.filter(**question))
        assert re.search(rf"SEARCH orders_order USING .*INDEX \S+ \(account_id=\? AND {column}[=><]", seen), seen


def test_an_id_of_alpaca_comes_once_in_an_account() -> None:
    account, other = make_account("one"), make_account("other")
    make_order(account, broker_order_id="b-1")
    make_order(other, broker_order_id="b-1")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_order(account, broker_order_id="b-1")
    assert Order.objects.count() == 2


def test_orders_that_alpaca_does_not_know_yet_have_no_id() -> None:
    account = make_account()
    for _ in range(3):
        make_order(account, broker_order_id="", submission_state="recorded")
    assert Order.objects.filter(account=account, broker_order_id="").count() == 3
