"""The id of an act is kept in what it makes, and in the lines of whoever goes on with it under no id of his own."""

import logging
from collections.abc import Iterator

import pytest
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from orders.booking import book_facts
from orders.models import Batch, Order
from orders.sending import execute_batch
from orders.settling import settle_orders
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.due_work import queue_due_work
from reconciliation.models import Fix, Run
from reconciliation.running import request_run
from tests.factories import NOW, make_batch, make_order
from tests.orders.conftest import ONE, record
from tests.reconciliation.steps import open_books, placed, reconcile
from tests.simulation import SimAccount
from work import correlation

CLICK = "of-this-click"


class Listening(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append((correlation.current(), record.getMessage()))

    def ids_of(self, words: str) -> set[str]:
        return {id_ for id_, message in self.heard if words in message}


@pytest.fixture
def lines() -> Iterator[Listening]:
    listening = Listening()
    loggers = [logging.getLogger(name) for name in ("orders", "reconciliation")]
    for logger in loggers:
        logger.addHandler(listening)
    yield listening
    for logger in loggers:
        logger.removeHandler(listening)


@pytest.mark.django_db(transaction=True)
def test_from_the_click_to_the_fill_and_the_check_after_it(sim_account: Account, lines: Listening) -> None:
    with correlation.carrying(CLICK):
        batch = record(sim_account, ONE, now=timezone.now())
    Batch.objects.filter(pk=batch.pk).update(state=Batch.State.RELEASED, released_at=timezone.now())
    execute_batch(batch_id=batch.pk, now=timezone.now())
    order = batch.orders.get()
    assert (batch.correlation_id, order.correlation_id) == (CLICK, CLICK)
    assert AuditEntry.objects.get(action="batch.recorded").correlation_id == CLICK
    for words in ("recorded", "claimed", "confirmed as", ": fill ", "finished"):
        assert lines.ids_of(words) == {CLICK}, words
    Batch.objects.filter(pk=batch.pk).update(finished_at=NOW)
    queue_due_work(timezone.now())
    assert Run.objects.get(trigger=Run.Trigger.BATCH).correlation_id == CLICK


@pytest.mark.django_db
def test_a_sweep_over_many_orders_tells_each_under_its_own_id(lines: Listening) -> None:
    orders = [make_order(correlation_id=f"of-click-{number}", submission_state="submitting") for number in (1, 2)]
    for order in orders:
        settle_orders(account_id=order.account_id, now=timezone.now())
        book_facts(order_id=order.pk, facts=None, now=NOW, actor="test")
    gone = lines.ids_of("Whoever was sending it is gone")
    assert gone == {"of-click-1", "of-click-2"}


@pytest.mark.django_db
def test_what_begins_by_itself_has_an_id_of_its_own(sim_account: Account) -> None:
    ids = [
        request_run(account=sim_account, trigger=Run.Trigger.CLOSE, requested_by="system", now=NOW).correlation_id
        for _ in range(2)
    ]
    assert all(map(correlation.is_well_formed, ids))
    assert ids[0] != ids[1]
    assert record(sim_account, ONE).correlation_id == Order.objects.get().correlation_id != ""


@pytest.mark.django_db
def test_rows_from_before_there_were_ids_are_carried_on(lines: Listening) -> None:
    assert make_batch().correlation_id == ""
    order = make_order(submission_state="submitting")
    settle_orders(account_id=order.account_id, now=timezone.now())
    assert lines.ids_of("gone") == {""}


@pytest.mark.django_db
def test_a_repair_carries_the_id_of_the_click_that_approved_it(
    sim_account: Account, sim: SimAccount, lines: Listening
) -> None:
    open_books(sim_account)
    placed(sim, client_order_id="ts-1", symbol="QCOM")
    reconcile(sim_account)
    with correlation.carrying(CLICK):
        approve_fixes(fixes=Fix.objects.filter(symbol="QCOM"), actor="ops", now=timezone.now())
    apply_approved(account=sim_account, actor="system:worker")
    assert Fix.objects.get(symbol="QCOM").correlation_id == CLICK
    assert lines.ids_of("applied for") == {CLICK}
    assert set(AuditEntry.objects.filter(action="fix.applied").values_list("correlation_id", flat=True)) == {CLICK}
    made = Run.objects.filter(trigger__in=[Run.Trigger.APPROVAL, Run.Trigger.VERIFICATION])
    assert list(made.values_list("correlation_id", flat=True)) == [CLICK, CLICK]
