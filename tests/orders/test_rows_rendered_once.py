"""A row of the list of orders is written once for all who see the same, and anew when anything about it changes."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from orders.models import Order
from tests.factories import make_account, make_order
from ui.templatetags.ui import loaded_values

pytestmark = pytest.mark.django_db
LIST = "/orders/"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is put into the cache."""
    cache, found = caches["template_fragments"], list[str]()
    cache.clear()
    put = cache.set

    def note(key: str, *args: Any, **options: Any) -> None:
        found.append(key)
        put(key, *args, **options)

    monkeypatch.setattr(cache, "set", note)
    return found


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def test_a_row_is_written_when_something_about_it_is_new(ops: Client, written: list[str]) -> None:
    account = make_account(slug="sim", name="Simulator")
    orders = [make_order(account=account, symbol=f"S{number}") for number in range(3)]
    first = ops.get(LIST, headers={"HX-Request": "true"}).content
    assert len(written) == 3
    assert ops.get(LIST, headers={"HX-Request": "true"}).content == first
    assert len(written) == 3
    Order.objects.filter(pk=orders[1].pk).update(symbol="CHANGED")
    assert b"CHANGED" in ops.get(LIST).content
    assert len(written) == 4
    assert orders[0].client_order_id.encode() in ops.get(f"{LIST}?columns=client_order_id").content
    assert len(written) == 7


def test_every_column_counts() -> None:
    order = Order.objects.get(pk=make_order().pk)
    before = loaded_values(order)
    for field in Order._meta.concrete_fields:
        kept, order.__dict__[field.attname] = order.__dict__[field.attname], "something else"
        assert loaded_values(order) != before, field.attname
        order.__dict__[field.attname] = kept
