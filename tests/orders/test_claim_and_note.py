"""The two transactions of a sending: nothing is compiled anew in them, and nothing is lost when one is run again."""

from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler

from broker.types import BrokerOrder
from orders import claiming, outcomes
from orders.booking import book_facts
from orders.claiming import claim
from orders.models import Order, OrderEvent
from orders.outcomes import Accepted, Later, Refused, Unknown, note
from orders.patience import until_written
from tests.factories import NOW, make_account, make_batch, make_order
from tests.orders.test_booking import facts
from work.statements import Statement

pytestmark = pytest.mark.django_db


@pytest.fixture
def order() -> Order:
    account = make_account(is_active=True)
    batch = make_batch(account, state="released", released_at=NOW)
    return make_order(account, batch=batch, submission_state="recorded", broker_updated_at=None)


def claimed(order: Order) -> Order:
    taken = claim(order_id=order.pk, now=NOW + timedelta(seconds=1))
    assert taken is not None
    return taken


def answer(order: Order, status: str = "new", **more) -> BrokerOrder:
    return facts(status, client_order_id=order.client_order_id, broker_order_id="b-1", **more)


def kinds(order: Order) -> list[str]:
    return list(OrderEvent.objects.filter(order=order).order_by("pk").values_list("kind", flat=True))


def assert_equal(ours: Order, theirs: Order) -> None:
    for field in Order._meta.concrete_fields:
        assert getattr(ours, field.attname) == getattr(theirs, field.attname), field.attname


def test_a_claim_gives_the_order_as_it_is_after_it(order):
    taken = claimed(order)
    assert (taken.submission_state, taken.send_count, taken.claimed_at) == ("submitting", 1, NOW + timedelta(seconds=1))
    assert_equal(taken, Order.objects.get(pk=order.pk))


def test_a_database_that_cannot_give_back_what_it_changed_is_asked_for_it(order, monkeypatch):
    monkeypatch.setattr(type(connection.features), "can_return_columns_from_insert", False)
    monkeypatch.setattr(claiming, "_claim", Statement(Order, claiming._compiled))
    taken = claimed(order)
    assert_equal(taken, Order.objects.get(pk=order.pk))
    assert kinds(order) == ["claimed"]
    assert claim(order_id=order.pk, now=NOW + timedelta(seconds=2)) is None


@pytest.mark.parametrize(
    "outcome", [Later("busy", 0.0), Refused("no"), Unknown("who knows"), None], ids=lambda o: type(o).__name__
)
def test_nothing_is_compiled_in_them_once_they_were_carried_out(order, monkeypatch, outcome):
    note(claimed(order), outcome or Accepted(answer(order)), NOW)
    other = make_order(order.account, batch=order.batch, submission_state="recorded", broker_updated_at=None)
    compiled: list[str] = []
    for compiler in (SQLCompiler, SQLUpdateCompiler, SQLInsertCompiler):
        as_sql = compiler.as_sql

        def told(self, *args, _as_sql=as_sql, **given):
            compiled.append(type(self).__name__)
            return _as_sql(self, *args, **given)

        monkeypatch.setattr(compiler, "as_sql", told)
    taken = claimed(other)
    told_later = outcome or Accepted(facts("new", client_order_id=other.client_order_id, broker_order_id="b-2"))
    note(taken, told_later, NOW, follows_later=True)
    assert not compiled
    other.refresh_from_db()
    assert other.submission_state != "submitting"


@pytest.mark.django_db(transaction=True)
def test_an_answer_whose_transaction_failed_is_written_by_the_next_one(order, monkeypatch):
    taken, tries = claimed(order), []

    def fail_once(point):
        tries.append(point)
        if len(tries) == 1:
            raise OperationalError("database is locked")

    monkeypatch.setattr(outcomes, "reached", fail_once)

    until_written(lambda: note(taken, Accepted(answer(order)), NOW, follows_later=True), sleep=lambda _: None)
    assert tries == ["before_commit"] * 2
    order.refresh_from_db()
    assert (order.submission_state, order.broker_order_id, order.status) == ("confirmed", "b-1", "new")
    assert kinds(order) == ["claimed", "confirmed", "status"]
    assert taken.submission_state == "submitting", "what the caller holds is as the claim left it"


def test_an_answer_does_not_overwrite_the_news_that_were_quicker(order):
    taken = claimed(order)
    news = answer(order, "canceled", seconds=9)
    book_facts(order_id=order.pk, facts=news, now=NOW, actor="system:stream")
    note(taken, Accepted(answer(order, "new", seconds=1)), NOW, follows_later=True)
    order.refresh_from_db()
    assert (order.status, order.submission_state) == ("canceled", "confirmed")
    assert kinds(order) == ["claimed", "confirmed", "status"]


@pytest.mark.parametrize("outcome", [Later("busy", 5.0), Refused("no"), Unknown("?")])
def test_what_is_not_about_this_attempt_any_more_is_not_written(order, outcome):
    taken = claimed(order)
    Order.objects.filter(pk=order.pk).update(send_count=2)
    note(taken, outcome, NOW)
    order.refresh_from_db()
    assert order.submission_state == "submitting"
    assert kinds(order) == ["claimed"]


def test_an_answer_is_booked_whichever_attempt_it_belongs_to(order):
    taken = claimed(order)
    Order.objects.filter(pk=order.pk).update(send_count=2, submission_state="unconfirmed", unconfirmed_at=NOW)
    note(taken, Accepted(answer(order)), NOW, follows_later=True)
    order.refresh_from_db()
    assert (order.submission_state, order.broker_order_id) == ("confirmed", "b-1")
