"""Strange queries, forms, files, addresses and headers, at every address that the resolver knows.

None is answered with an error of the program (500), none takes long, and what is refused has written nothing.
FUZZ=1000 asks each address so often, and by chance; otherwise the questions are few and always the same.
"""

import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from tests.security.addresses import Address, every_address
from tests.security.asking import Asked, ask
from tests.security.matrix import WRITES_WHEN_READ, WRITES_WHEN_REFUSED, rule_of
from tests.security.strange import (
    DECISIVE,
    NASTY,
    FormReader,
    SeenForm,
    queries,
    read_forms,
    sent_forms,
    texts,
    uploads,
)
from tests.security.test_permission_matrix import path_of
from tests.security.world import World, world

pytestmark = pytest.mark.django_db  # each within the transaction of `made`

ADDRESSES = {address.name: address for address in every_address()}
#: Whoever may do more than others.
PERSONS = ("broker", "admin")
#: Far above what a page takes on a busy computer, far below what a pattern that runs wild takes.
SECONDS = 5.0

_times = int(os.environ.get("FUZZ", "0"))
_often = settings(
    max_examples=_times or 3,
    derandomize=not _times,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world() as found:
        yield found


@pytest.fixture(scope="module")
def clients(made: World) -> dict[str, Client]:
    found = {name: Client(enforce_csrf_checks=True, raise_request_exception=False) for name in PERSONS}
    for name, client in found.items():
        client.force_login(made.people[name])
    return found


@pytest.fixture(scope="module")
def done() -> set[Any]:
    """The forms that were filled in strangely already."""
    return set()


def judge(asked: Asked, path: str, seconds: float, name: str, *, is_reading: bool) -> None:
    assert asked.outcome != "error" or asked.status == 503, f"{asked.status} at {path}"
    assert seconds < SECONDS, f"{path} took {seconds:.1f} s"
    assert not (is_reading and asked.written), f"reading {path} wrote to {asked.written}"
    if (asked.status >= 400 or asked.is_refused) and name not in WRITES_WHEN_REFUSED:
        assert not asked.written, f"{path} was refused ({asked.status}) and wrote to {asked.written}"


def ask_strangely(client: Client, path: str, way: str, data: Any = None, *, name: str = "", **headers: str) -> None:
    begun = time.monotonic()
    asked = ask(client, path, way, data, headers=headers)
    judge(
        asked, path, time.monotonic() - begun, name, is_reading=way.startswith("GET") and name not in WRITES_WHEN_READ
    )


def pages(name: str, made: World, clients: dict[str, Client]) -> Iterator[tuple[Client, str, FormReader]]:
    rule = rule_of(name)
    assert rule is not None
    path = path_of(ADDRESSES[name], rule, made)
    for person in PERSONS:
        answer = clients[person].get(path) if person in (rule.get or ()) else None
        is_page = answer is not None and answer.get("Content-Type", "").startswith("text/html")
        yield clients[person], path, read_forms(path, answer.content.decode() if answer and is_page else "")


@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_strange_queries_and_forms(name, made, clients, done):
    rule = rule_of(name)
    assert rule is not None
    for client, path, page in pages(name, made, clients):
        if rule.get:
            _read(client, path, page.parameters | page.parameters_of_forms(), name)
        posted = [form for form in page.forms if form.method == "post"]
        for form in [*posted, *([_bare(path, made, name)] if rule.post else [])]:
            if (client, form.kind) not in done:  # the frame of every page has some
                done.add((client, form.kind))
                _send(client, form, name)


@pytest.mark.parametrize("name", sorted(name for name in ADDRESSES if not name.startswith("admin:")))
def test_each_parameter_of_a_page_gets_each_strange_text(name, made, clients):
    client, path, page = next(pages(name, made, clients))
    names = sorted(page.parameters | page.parameters_of_forms())
    strange = NASTY + DECISIVE if _times else DECISIVE
    for turn in range(len(strange) if names else 0):
        query = {known: strange[(7 * place + turn) % len(strange)] for place, known in enumerate(names)}
        ask_strangely(client, f"{path}?{urlencode({**query, 'account': 'sim'})}", "GET", name=name)


def _read(client: Client, path: str, names: set[str], name: str) -> None:
    @_often
    @given(queries(names), st.sampled_from(["GET", "GET htmx"]))
    def read(query, way):
        ask_strangely(client, f"{path}?{urlencode(query, doseq=True)}", way, name=name)

    read()


def _send(client: Client, form: SeenForm, name: str) -> None:
    @_often
    @given(sent_forms(form), st.sampled_from(["POST", "POST htmx"]))
    def send(data, way):
        ask_strangely(client, form.action, way, data, name=name)

    send()


def _bare(path: str, made: World, name: str) -> SeenForm:
    """The form of an address whose page is another: with what the matrix knows to be right."""
    rule = rule_of(name)
    assert rule is not None
    wish = rule.wish(made)
    return SeenForm(path, "post", {key: [str(value)] for key, value in wish.items()}, {"file"} & set(wish))


@pytest.mark.parametrize("name", sorted(name for name, address in ADDRESSES.items() if address.places))
@_often
@given(st.data())
def test_strange_addresses(name, made, clients, data):
    address: Address = ADDRESSES[name]
    strange = st.one_of(texts, st.integers(min_value=0).map(str), st.sampled_from(["0", str(2**63), "9" * 30, "１"]))
    values = {place: quote(data.draw(strange), safe="") or "x" for place in address.places}
    for client in clients.values():
        ask_strangely(client, address.path(values), "GET", name=name)
        ask_strangely(client, address.path(values), "POST", {}, name=name)


@_often
@given(data=uploads, first=st.sampled_from(["on", ""]))
def test_strange_files(made, clients, data, first):
    data.seek(0)
    ask_strangely(clients["broker"], "/batches/new/", "POST", {"file": data, "cancel_exits_first": first})


@pytest.mark.parametrize("path", ["/", "/orders/", "/reconciliation/", "/pulse/", "/admin/", "/healthz", "/nosuch/"])
@_often
@given(
    value=texts.filter(lambda text: not set("\r\n\0") & set(text)).map(lambda text: text.encode().decode("latin-1")),
    header=st.sampled_from(
        ["HX-Current-URL", "HX-Target", "HX-Trigger", "X-Account", "Referer", "Accept", "Accept-Language", "Cookie",
         "X-Request-ID", "X-Forwarded-For", "X-Forwarded-Proto", "Host", "If-None-Match", "If-Modified-Since", "Range",
         "User-Agent", "Authorization", "Content-Type"]
    ),
)  # fmt: skip
def test_strange_headers(made, clients, path, header, value):
    for way in ("GET", "GET htmx", "POST"):
        ask_strangely(clients["broker"], path, way, **{header: value})
