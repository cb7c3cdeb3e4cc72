"""A cause on the board is rendered once for all who see the same, and anew when anything about it changes."""

from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from broker.models import Account
from reconciliation.board import Board
from reconciliation.cause_fingerprint import fingerprint, reader_fingerprint
from reconciliation.entered_rows import EnteredValue
from reconciliation.models import Drift, DriftComment, Fix
from reconciliation.presentation import Cause
from reconciliation.protection_planning import INSTEAD
from tests.factories import make_account
from tests.reconciliation.rows import HTMX, INDEX, make_cause, make_fix, make_run

pytestmark = pytest.mark.django_db
CARD = "reconciliation/_cause.html"


@pytest.fixture
def account() -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    caches["template_fragments"].clear()
    client.force_login(people.ops)
    return client


def rendered(client: Client, address: str = INDEX) -> tuple[int, str]:
    """How many causes were rendered for the answer, and the answer."""
    answer = client.get(address, headers=HTMX)
    return [template.name for template in answer.templates].count(CARD), answer.content.decode()


def a_full_cause(account: Account) -> Cause:
    """One with everything that can belong to a cause."""
    run = make_run(account)
    fix = make_cause(run, "AAPL")
    drift = fix.drifts.get(cause=None)  # it has a consequence, too
    make_fix(run, "AAPL", key=drift.key + INSTEAD, title="Cancel it", acts_at_broker=True)
    DriftComment.objects.create(drift=drift, at=timezone.now(), author="ops", text="seen")
    EnteredValue.objects.create(drift=drift, price="1", reason="statement", entered_by="ops", entered_at=timezone.now())
    (group,) = Board(account=account, now=timezone.now()).groups
    (cause,) = group.causes
    return cause


def rows_of(cause: Cause) -> list[Model]:
    rows = [cause.drift, cause.drift.fix, cause.instead, *cause.consequences]
    return [row for row in rows if row] + [*cause.drift.comments.all(), *cause.drift.entered_values.all()]


def test_every_column_of_every_row_counts(account: Account) -> None:
    cause = a_full_cause(account)
    rows, before = rows_of(cause), fingerprint(cause)
    assert {type(row) for row in rows} == {Drift, Fix, DriftComment, EnteredValue}
    assert len(rows) == 6
    for row in rows:
        for field in row._meta.concrete_fields:
            kept, row.__dict__[field.attname] = row.__dict__[field.attname], "something else"
            assert fingerprint(cause) != before, f"{type(row).__name__}.{field.attname}"
            row.__dict__[field.attname] = kept
    assert fingerprint(cause) == before


def test_what_has_not_changed_is_rendered_once(ops: Client, account: Account) -> None:
    run = make_run(account)
    for number in range(5):
        make_cause(run, f"S{number}")
    first, text = rendered(ops)
    again, text_again = rendered(ops)
    assert (first, again) == (5, 0)
    assert text == text_again
    DriftComment.objects.create(
        drift=Drift.objects.roots().get(symbol="S3"), at=timezone.now(), author="ops", text="a new word"
    )
    after, text_after = rendered(ops)
    assert after == 1
    assert "a new word" in text_after


def test_all_fields_and_those_that_change_are_two_pictures(ops: Client, account: Account) -> None:
    same = {"order": {"symbol": "AAPL"}, "position": {"state": "none", "qty": "0"}}
    make_cause(make_run(account), "AAPL", before=same, broker=same)
    few, all_of_them = rendered(ops), rendered(ops, f"{INDEX}?fields=all")
    assert (few[0], all_of_them[0]) == (1, 1)
    assert few[1].count("<tr") < all_of_them[1].count("<tr")


def test_a_trader_never_gets_what_ops_may_do(ops: Client, people: SimpleNamespace, account: Account) -> None:
    make_cause(make_run(account), "AAPL")
    assert "data-approve" in rendered(ops)[1]
    trader = Client()
    trader.force_login(people.trader)
    count, text = rendered(trader)
    assert count == 1
    assert "data-approve" not in text


def test_a_permission_that_is_taken_away_is_gone_at_once(
    ops: Client, people: SimpleNamespace, account: Account
) -> None:
    make_cause(make_run(account), "AAPL")
    assert "data-approve" in rendered(ops)[1]
    people.ops.groups.clear()
    assert "data-approve" not in rendered(ops)[1]


def test_the_day_counts_and_so_does_whom_it_can_be_given_to(people: SimpleNamespace) -> None:
    today = timezone.now().date()
    seen = {
        reader_fingerprint(people.ops, [people.ops], today),
        reader_fingerprint(people.ops, [people.ops], today.replace(year=today.year + 1)),
        reader_fingerprint(people.ops, [people.ops, people.admin], today),
        reader_fingerprint(people.admin, [people.ops], today),
        reader_fingerprint(people.trader, [people.ops], today),
    }
    assert len(seen) == 5
