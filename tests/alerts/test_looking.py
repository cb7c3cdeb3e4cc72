"""The facts are read from the rows as they are, in a number of queries that does not grow with them."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import lookout
from alerts.addresses import parse
from alerts.conditions import conditions_of
from alerts.courier import Courier
from alerts.looking import look
from alerts.models import Delivery
from broker.models import StreamState
from positions.models import Crossing, Position
from reconciliation.models import Drift, Fix, Run
from tests.factories import NOW, make_account, make_batch, make_order, minutes
from work.models import DroppedDelivery, Heartbeat


@pytest.fixture
def account(db):
    return make_account()


def keys():
    found = conditions_of(look(NOW), now=NOW, approval_after=timedelta(minutes=15))
    return {condition.key: condition for condition in found}


def make_run(account, state="drift", **fields):
    times = {"requested_at": NOW, "started_at": NOW, "finished_at": NOW}
    return Run.objects.create(account=account, trigger="demand", state=state, requested_by="ops", **times, **fields)


def make_drift(account, number, **fields):
    run = make_run(account)
    return Drift.objects.create(
        account=account, key=f"missing_fill:{number}", kind="missing_fill", group="fills", severity="high",
        sentence=f"Fill {number} is missing.", local={}, broker={}, first_run=run, last_run=run, first_seen_at=NOW,
        last_seen_at=NOW, **fields,
    )  # fmt: skip


def make_fix(account, number, **fields):
    run = make_run(account)
    return Fix.objects.create(
        account=account, run=run, key=f"fix:{number}", action="book_fill", is_safe_copy=True, title=f"Book {number}",
        fingerprint="x", plan={}, before={}, broker={}, after={}, proposed_at=minutes(-20), **fields,
    )  # fmt: skip


def test_nothing_at_all(account):
    assert keys() == {}


def test_drifts_but_not_what_is_ignored_resolved_or_only_follows(account):
    root = make_drift(account, 1)
    make_drift(account, 2, cause=root)
    make_drift(account, 3, state="ignored")
    make_drift(account, 4, state="resolved")
    assert keys()["drift:sim:high"].things == {f"drift {root.pk}"}


def test_orders_runs_and_the_kill_switch(account):
    order = make_order(account, submission_state="unconfirmed", unconfirmed_at=minutes(-2))
    make_order(account, submission_state="unconfirmed", unconfirmed_at=minutes(-0.5))
    for _ in range(3):
        make_run(account, "incomplete", incomplete_reason="timed out")
    account.sending_halted, account.halted_at, account.halted_by = True, minutes(-1), "ops"
    account.unread_since = minutes(-6)
    account.save()
    found = keys()
    assert set(found) == {"unconfirmed:sim", "incomplete:sim", "halted:sim", "silent_broker:sim"}
    assert found["unconfirmed:sim"].things == {f"order {order.pk}"}
    make_run(account, "in_sync")
    assert "incomplete:sim" not in keys()


def test_an_order_whose_sender_died_before_it_noted_anything_is_unknown_too(account):
    """With the last worker gone nobody ever calls it unconfirmed; and who does so later begins no new minute."""
    order = make_order(account, submission_state="submitting", claimed_at=minutes(-3), claimed_by="a:1:2.0")
    make_order(account, submission_state="submitting", claimed_at=minutes(-0.5), claimed_by="a:1:2.0")
    found = keys()["unconfirmed:sim"]
    assert found.things == {f"order {order.pk}"}
    assert found.link == "/orders/?submission_state=submitting&account=sim"
    order.submission_state, order.unconfirmed_at = "unconfirmed", NOW
    order.save()
    found = keys()["unconfirmed:sim"]
    assert found.things == {f"order {order.pk}"}
    assert found.link == "/orders/?submission_state=unconfirmed&account=sim"


def test_fixes_that_wait(account):
    make_fix(account, 1)
    make_fix(account, 2, requested_at=minutes(-16), requested_by="ops")
    make_fix(account, 3, requested_at=minutes(-1), requested_by="ops")  # the second person was asked a minute ago
    make_fix(account, 4, state="approved")
    found = keys()["approval:sim"]
    assert found.number == 2
    assert "a second person is needed" in found.sentence


def test_crossings(account):
    position = Position.objects.create(
        account=account, symbol="QCOM", sequence=1, state="open", side="long", qty="5", entry_qty="5", cost_basis="500",
        realized_pl="0", rebuilt_at=NOW, stop_loss="90",
    )  # fmt: skip
    row = Crossing.objects.create(
        account=account, position=position, level="stop", level_price="90", price="89", crossed_at=NOW
    )
    assert "QCOM went through its stop of 90.00" in keys()["crossing:sim"].sentence
    row.acknowledged_at = NOW
    row.save()
    assert keys() == {}


def test_batches_halted_and_late(account):
    make_batch(account, state="halted", finished_at=minutes(-5))
    make_batch(account, state="halted", finished_at=minutes(-60 * 13))
    make_batch(account, state="scheduled", scheduled_for=minutes(-3))
    make_batch(account, state="scheduled", scheduled_for=minutes(3))
    make_batch(account, state="released", released_at=minutes(-11))
    make_batch(account, state="released", released_at=minutes(-1))
    found = keys()
    assert {key: condition.number for key, condition in found.items()} == {"batch:sim:halted": 1, "batch:sim:late": 2}


def test_a_stream_and_a_worker_that_died(account):
    state = StreamState.objects.create(account=account, holder="a:1:2.0", updated_at=minutes(-2), connected_at=NOW)
    Heartbeat.objects.create(name="ticker", at=minutes(-2), holder="a:1:2.0")
    assert set(keys()) == {"stream:sim", "worker"}
    state.holder = ""  # it was stopped in good order
    state.save()
    assert set(keys()) == {"worker"}


def test_a_look_reads_no_whole_table_of_what_was_ever_told(account, settings, sqlite_only):
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    account.sending_halted, account.halted_at = True, NOW
    account.save()
    lookout.look_and_note()
    Delivery.objects.update(not_before=NOW + timedelta(days=9999))
    with CaptureQueriesContext(connection) as captured:
        lookout.look_and_note()
        Courier().carry(lambda: NOW, seconds=0)
    asked = [query["sql"] for query in captured if query["sql"].startswith(("SELECT", "UPDATE"))]
    assert any("alerts_delivery" in sql for sql in asked)
    plans: list[str] = []
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
            plans += [row[3] for row in cursor.fetchall()]
    for table in ("alerts_delivery", "alerts_alert", "reconciliation_run", "reconciliation_drift", "orders_order"):
        assert [plan for plan in plans if plan.startswith(f"SCAN {table}")] == []
    for of_all in ("(channel_id=? AND rowid<?)", "SCAN U"):
        assert [plan for plan in plans if of_all in plan] == []


def test_a_worker_that_died_beside_a_living_one(account):
    for host, at in (("a", minutes(-2)), ("b", minutes(0))):
        Heartbeat.objects.create(name="ticker", cluster=f"{host}:1:2.0@x", holder=f"{host}:1:2.0@x", at=at)
    assert {key: condition.severity for key, condition in keys().items()} == {"worker:a": "high"}


def test_a_delivery_that_was_dropped(account):
    DroppedDelivery.objects.create(name="execute:7", at=minutes(-5), deaths=3)
    DroppedDelivery.objects.create(name="execute:6", at=minutes(-60 * 13), deaths=3)
    (found,) = keys().values()
    assert (found.kind.value, found.number) == ("dropped", 1)
    assert "execute:7" in found.sentence


def test_the_number_of_queries_does_not_grow_with_the_rows(account):
    def queries():
        with CaptureQueriesContext(
            connection,
        ) as captured:
            look(NOW)
        return len(captured)

    few = queries()
    for number in range(20):
        make_drift(account, number)
        make_fix(account, number)
        make_order(account, submission_state="unconfirmed", unconfirmed_at=minutes(-2))
        make_batch(account, state="released", released_at=minutes(-11))
    assert queries() == few
