"""A symbol named <script> stays text: on every page, in every fragment and in every file, as the one who may most."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoDbBlocker

from tests.security.addresses import Address, every_address
from tests.security.hostile import MARKUP, WORD, speak_evil
from tests.security.matrix import rule_of
from tests.security.test_permission_matrix import path_of
from tests.security.world import World, world

pytestmark = pytest.mark.django_db

#: Lists give the same rows as a file.
QUERIES = ("", "format=csv", "format=md", "format=json", "format=html")
_MAY_BEGIN_A_CELL = set("-+")  # of a number


@pytest.fixture(scope="module")
def evil(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[World, set[str]]]:
    with django_db_blocker.unblock(), world() as made:
        yield made, speak_evil()


@pytest.fixture(scope="module")
def admin(evil: tuple[World, set[str]]) -> Client:
    client = Client(raise_request_exception=False)
    person = evil[0].people["admin"]
    person.is_superuser = True
    person.save()
    client.force_login(person)
    return client


READ = [
    address
    for address in every_address()
    if (rule := rule_of(address.name)) and rule.get and "logout" not in address.name
]


def body_of(answer: Any) -> str:
    return (b"".join(answer) if answer.streaming else answer.content).decode(errors="replace")


def complaints(answer: Any, what: str) -> Iterator[str]:
    if answer.status_code >= 500 and not what.startswith("/readyz"):
        yield f"{what}: {answer.status_code}"
        return
    kind, body = answer.get("Content-Type", ""), body_of(answer)
    if kind.startswith(("application/json", "text/plain")):
        if answer.get("X-Content-Type-Options") != "nosniff":
            yield f"{what}: text that a browser may take for a page"
        return
    if kind.startswith("text/csv"):
        yield from (f"{what}: the cell {cell!r} is a formula" for cell in _formulas(body))
        return
    if MARKUP in body:
        place = body.index(MARKUP)
        yield f"{what}: markup came through: …{body[max(0, place - 80) : place + 30]}…"


def _formulas(body: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(body)):
        yield from (cell for cell in row if cell[:1] in {"=", "@", "\t", "\r"} or _is_signed_text(cell))


def _is_signed_text(cell: str) -> bool:
    return cell[:1] in _MAY_BEGIN_A_CELL and len(cell) > 1 and not cell[1:2].isdigit() and cell[1:2] != "."


@pytest.mark.parametrize("address", READ, ids=lambda address: address.name)
def test_it_stays_text(address: Address, evil: tuple[World, set[str]], admin: Client) -> None:
    rule = rule_of(address.name)
    assert rule is not None
    path = path_of(address, rule, evil[0])
    found: list[str] = []
    found += complaints(admin.get(path, headers={"HX-Request": "true"}), f"{path} as a fragment")
    for query in QUERIES if "admin/" not in path else QUERIES[:1]:
        found += complaints(admin.get(f"{path}?{query}"), f"{path}?{query}")
    assert found == []


def test_the_evil_words_are_where_a_broker_could_put_them(evil: tuple[World, set[str]]) -> None:
    for column in (
        "orders.Order.symbol", "orders.Order.client_order_id", "orders.Order.status", "orders.Order.refusal",
        "orders.OrderEvent.text", "orders.Fill.activity_id", "positions.Position.symbol",
        "reconciliation.Drift.sentence",
        "reconciliation.Drift.broker", "reconciliation.Fix.title", "reconciliation.Run.incomplete_reason",
        "broker.Account.name",
    ):  # fmt: skip
        assert column in evil[1], column


def test_the_words_are_shown_and_not_left_out(evil: tuple[World, set[str]], admin: Client) -> None:
    page = body_of(admin.get("/orders/"))
    assert "=1&lt;script&gt;x&lt;/script&gt;" in page
    assert "'=1<script>x</script>" in body_of(admin.get("/orders/?format=csv"))
    assert WORD.endswith("{{7}}")
    assert "{{7}}" in page, "no template is made of data"
