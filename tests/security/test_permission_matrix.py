"""Every address × every kind of person × every way of asking: exactly those get through that the matrix names.

Who does not get through leaves nothing behind: no row of any table is written.
"""

from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from pytest_django import DjangoDbBlocker

from tests.security.addresses import Address, every_address
from tests.security.asking import WAYS, Asked, ask
from tests.security.matrix import BULK_ACTS, MODELS, RULES, WRITES_WHEN_READ, Rule, rule_of
from tests.security.world import PERSONS, World, world

pytestmark = pytest.mark.django_db  # each within the transaction of `made`

ADDRESSES = {address.name: address for address in every_address()}


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), world() as found:
        yield found


@pytest.fixture(scope="module")
def clients(made: World) -> dict[str, Client]:
    found = {name: Client(enforce_csrf_checks=True, raise_request_exception=False) for name in PERSONS}
    for name, user in made.people.items():
        found[name].force_login(user)
    return found


def path_of(address: Address, rule: Rule, made: World) -> str:
    values = {**made.values, **rule.values(made)}
    if address.route.startswith("admin/") and {"object_id", "id"} & set(address.places):
        app, model = address.route.split("/")[1:3]
        if app != "r":
            values |= dict.fromkeys(("object_id", "id"), made.object_of(app, model).pk)
        else:
            values["object_id"] = made.order.pk
            values["content_type_id"] = made.content_type_of_orders
    return address.path(values)


def expected(rule: Rule, person: str, way: str, *, is_admin: bool) -> set[str]:
    """Return the outcomes that are right."""
    if way == "POST without token":
        return {"forbidden"}
    who = rule.get if way.startswith("GET") else rule.post
    if person in (who or ()):
        return {"done"} | ({"login"} if rule.ends_at_login else set()) | ({"missing"} if rule.may_be_missing else set())
    if person == "anonymous":
        return {"login"} if rule.get is None or person not in rule.get else {"method"}
    if who is None:
        return {"method", "forbidden", "login"} if is_admin else {"method", "forbidden"}
    return {"login", "forbidden", "method"} if is_admin else {rule.refusal}


def complaints(address: Address, rule: Rule, made: World, clients: dict[str, Client]) -> Iterator[str]:
    path = path_of(address, rule, made)
    for person in PERSONS:
        for way in WAYS:
            asked = ask(clients[person], path, way, rule.wish(made) if way.startswith("POST") else None)
            right = expected(rule, person, way, is_admin=address.name.startswith("admin:"))
            if asked.outcome not in right:
                yield f"{person}, {way} {path}: {asked.outcome} ({asked.status}), expected {' or '.join(sorted(right))}"
            yield from _wrote_wrongly(asked, f"{person}, {way} {path}", rule, address, way=way, may="done" in right)


def _wrote_wrongly(asked: Asked, what: str, rule: Rule, address: Address, *, way: str, may: bool) -> Iterator[str]:
    if asked.written and not (may and (way.startswith("POST") or address.name in WRITES_WHEN_READ)):
        yield f"{what} wrote to {', '.join(sorted(asked.written))}"
    if may and way in {"POST", "POST htmx"} and rule.writes and not asked.written:
        yield f"{what} wrote nothing, so it does not show that the act gets through"


def test_every_address_is_in_the_matrix_and_nothing_else():
    unnamed = [name for name in ADDRESSES if rule_of(name) is None]
    assert unnamed == [], "Say in tests/security/matrix.py who may do what there."
    assert sorted(set(RULES) - set(ADDRESSES)) == []
    models = {name.removeprefix("admin:").removesuffix("_changelist") for name in ADDRESSES if "_changelist" in name}
    assert models == set(MODELS)


def test_there_is_a_row_for_every_page(made):
    assert made.missing() == []
    places = {place for address in ADDRESSES.values() for place in address.places}
    assert places <= {*made.values, "object_id", "id"}


@pytest.mark.parametrize("name", sorted(ADDRESSES))
def test_exactly_the_allowed_ones_pass(name, made, clients):
    rule = rule_of(name)
    assert rule is not None
    assert list(complaints(ADDRESSES[name], rule, made, clients)) == []


@pytest.mark.parametrize("model", sorted(MODELS))
def test_only_the_named_acts_go_over_many_rows_at_once(model, made, clients):
    [listed] = [row for row in admin.site._registry.values() if f"{row.opts.app_label}_{row.opts.model_name}" == model]
    request = RequestFactory().get("/")
    request.user = made.people["admin"]
    assert set(listed.get_actions(request)) == BULK_ACTS.get(model, set())
    rows = {"_selected_action": [made.object_of(*model.rsplit("_", 1)).pk]}
    path = ADDRESSES[f"admin:{model}_changelist"].path({})
    for act in {"delete_selected", *BULK_ACTS.get(model, set())}:
        for person in PERSONS:
            asked = ask(clients[person], path, "POST", {**rows, "action": act, "post": "yes"})
            is_allowed = person == "admin" and act in listed.get_actions(request)
            assert bool(asked.written) is is_allowed, f"{person} {act} {asked.outcome} {asked.written}"
