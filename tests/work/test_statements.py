"""Statements that are compiled once do what the ORM's own would: the same columns, guards, counts and errors."""

import re
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import IntegrityError, connection, router, transaction
from django.db.models.sql.compiler import SQLCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.utils.connection import ConnectionDoesNotExist

from broker.models import Account
from orders.models import Fill, Order, OrderEvent
from tests.factories import NOW, make_batch, make_fill, make_order
from work.models import Lease
from work.statements import Blank, Statement, compiled_update, field_of, insert, update

pytestmark = pytest.mark.django_db

FAR = datetime(2031, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-5)))
#: Each kind of column that an order has, with what a careless spelling would lose.
RICH = {
    "line_number": 7,
    "symbol": "BRK.B",
    "refusal": "it's 100 % “no” — %s ?",
    "qty": Decimal("0.000000000000000000000000001"),
    "notional": Decimal("12345678901234567890.10"),
    "limit_price": Decimal("1E+3"),
    "stop_price": None,
    "filled_qty": Decimal("-0"),
    "extended_hours": True,
    "claimed_at": FAR,
    "not_before": None,
    "broker_updated_at": datetime(2025, 3, 9, 7, 0, tzinfo=UTC),
    "raw": {"b": [1, None, "é%"], "a": {"nested": True}},
    "send_count": 3,
    "status": "",
    "correlation_id": "abc",
}
EMPTY = dict.fromkeys(("line_number", "qty", "claimed_at", "raw", "broker_updated_at", "filled_avg_price"))


def stored(model, pk):
    """The row as the database has it, without the model's converters."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {model._meta.db_table} WHERE id = %s", [pk])
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))


def without(row, *names):
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize("columns", [RICH, EMPTY, {"batch_id": None, "raw": ["x"]}])
def test_an_update_writes_what_the_orm_writes(columns):
    ours, theirs = make_order(batch=make_batch()), make_order(batch=make_batch())
    assert update(Order, where={"id": ours.pk}, columns=columns).run() == 1
    Order.objects.filter(pk=theirs.pk).update(**columns)
    own = ("id", "client_order_id", "broker_order_id", "batch_id")
    assert without(stored(Order, ours.pk), *own) == without(stored(Order, theirs.pk), *own)
    ours.refresh_from_db()
    for name, value in columns.items():
        assert getattr(ours, name) == value


def test_a_foreign_key_is_written_by_its_column():
    order, batch = make_order(), make_batch()
    assert update(Order, where={"id": order.pk}, columns={"batch_id": batch.pk}).run() == 1
    order.refresh_from_db()
    assert order.batch == batch


def test_values_that_are_none_are_looked_for_and_a_tuple_is_any_of():
    order = make_order(broker_updated_at=None)

    def count(**where):
        return update(Order, where={"id": order.pk, **where}, columns={"subtag": "x"}).run()

    assert count(broker_updated_at=None) == 1
    assert count(broker_updated_at=NOW) == 0
    assert count(status=("new", "accepted")) == 1
    assert count(status=("accepted",)) == 0
    assert count(account_id=order.account_id, qty=Decimal("10.0")) == 1
    assert count(account_id=order.account_id + 1) == 0
    update(Order, where={"id": order.pk}, columns={"broker_updated_at": NOW}).run()
    assert count(broker_updated_at=None) == 0
    assert count(broker_updated_at=NOW) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_insert_writes_what_the_orm_writes(count):
    order = make_order()
    rows = [
        {"order_id": order.pk, "at": FAR, "kind": f"k{n}", "text": "“%s” ?", "actor": "someone"} for n in range(count)
    ]
    assert insert(OrderEvent, rows).run() == count
    ours = [without(stored(OrderEvent, pk), "id") for pk in OrderEvent.objects.values_list("pk", flat=True)]
    OrderEvent.objects.all().delete()
    OrderEvent.objects.bulk_create(OrderEvent(**row) for row in rows)
    assert ours == [without(stored(OrderEvent, pk), "id") for pk in OrderEvent.objects.values_list("pk", flat=True)]


def test_an_insert_of_exact_numbers_and_json():
    first = make_fill(raw={"qty": "1"}, qty="0.1000000000000000000001")
    row = {
        field.attname: getattr(first, field.attname) for field in Fill._meta.concrete_fields if field.attname != "id"
    }
    assert insert(Fill, [{**row, "activity_id": "another"}]).run() == 1
    second = Fill.objects.get(activity_id="another")
    own = ("id", "activity_id")
    assert without(stored(Fill, second.pk), *own) == without(stored(Fill, first.pk), *own)


def test_an_insert_that_leaves_a_column_out_is_refused():
    with pytest.raises(TypeError, match="A row of OrderEvent has"):
        insert(OrderEvent, [{"order_id": 1, "at": NOW, "kind": "x", "text": ""}])


def test_a_moment_is_moved_where_it_stands():
    order = make_order()

    def compile_for(here):
        now = Blank("now", field_of(Order, "claimed_at"))
        found = Order.objects.filter(recorded_at__gt=now - timedelta(hours=2), recorded_at__lte=now + timedelta(0))
        return compiled_update(found, here, {"not_before": now + timedelta(minutes=5), "claimed_at": now})

    statement = Statement(Order, compile_for)
    assert statement.ready({"now": NOW + timedelta(hours=3)}).run() == 0
    assert statement.ready({"now": NOW - timedelta(seconds=1)}).run() == 0
    assert statement.ready({"now": NOW + timedelta(hours=1)}).run() == 1
    order.refresh_from_db()
    assert order.claimed_at == NOW + timedelta(hours=1)
    assert order.not_before == NOW + timedelta(hours=1, minutes=5)


def reading(here):
    found = Order.objects.filter(pk=Blank("id", field_of(Order, "id")))
    return compiled_update(found, here, {"subtag": "read"}, returns_rows=True)


def test_rows_come_back_as_the_orm_reads_them():
    order = make_order()
    Order.objects.filter(pk=order.pk).update(**RICH)
    statement = Statement(Order, reading)
    for _ in range(2):
        (row,) = statement.ready({"id": order.pk}).rows(Order)
        read = Order.objects.get(pk=order.pk)
        names = [field.attname for field in Order._meta.concrete_fields]
        assert {name: getattr(row, name) for name in names} == {name: getattr(read, name) for name in names}
        assert [type(getattr(row, name)) for name in names] == [type(getattr(read, name)) for name in names]
        assert not row._state.adding
        assert row._state.db == "default"
        assert not row.get_deferred_fields()
    assert statement.ready({"id": order.pk + 1}).rows(Order) == []


def test_what_the_database_refuses_is_the_orms_error_and_spoils_the_transaction():
    order = make_order()
    wrong = update(Order, where={"id": order.pk}, columns={"broker_order_id": "", "submission_state": "confirmed"})
    with pytest.raises(IntegrityError), transaction.atomic():
        wrong.run()
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert(Lease, [{"name": "one", "holder": "", "expires_at": NOW}] * 2).run()
        assert transaction.get_rollback()
    assert not Lease.objects.exists()


def test_a_statement_is_compiled_once_whatever_its_values(monkeypatch):
    order = make_order()
    compiled: list[str] = []
    for compiler in (SQLCompiler, SQLUpdateCompiler, SQLInsertCompiler):
        as_sql = compiler.as_sql

        def told(self, *args, _as_sql=as_sql, **given):
            compiled.append(type(self).__name__)
            return _as_sql(self, *args, **given)

        monkeypatch.setattr(compiler, "as_sql", told)

    def write(number):
        update(Order, where={"id": order.pk, "send_count": number}, columns={"send_count": number + 1, "raw": {}}).run()
        insert(OrderEvent, [{"order_id": order.pk, "at": NOW, "kind": "k", "text": str(number), "actor": "a"}]).run()

    write(0)
    compiled.clear()
    for number in range(1, 5):
        write(number)
    assert not compiled
    order.refresh_from_db()
    assert order.send_count == 5
    assert OrderEvent.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_each_thread_reads_by_its_own_connection():
    order, statement, found = make_order(), Statement(Order, reading), []

    def read():
        try:
            found.extend(statement.ready({"id": order.pk}).rows(Order))
        finally:
            connection.close()

    read()
    for _ in range(3):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join(30)
    assert [row.pk for row in found] == [order.pk] * 4
    assert all(row.recorded_at == NOW for row in found)


def test_it_goes_to_the_database_that_the_orm_would_take(monkeypatch):
    monkeypatch.setattr(
        router, "routers", [SimpleNamespace(db_for_write=lambda model, **hints: "of_" + model.__name__)]
    )
    with pytest.raises(ConnectionDoesNotExist, match="of_Order"):
        update(Order, where={"id": 1}, columns={"subtag": "x"})


def test_the_claim_is_the_orms_own_update():
    """Compiled with blanks and with plain values, it asks the same of the same columns."""
    from orders.claiming import claimable, claimed

    assert Account.objects.count() == 0
    plain, spaced = [], []

    def keep(execute, sql, values, many, context):
        plain.append((sql, values))
        return execute(sql, values, many, context)

    with connection.execute_wrapper(keep):
        claimable(order_id=12, now=NOW).update(**claimed(holder="me", now=NOW))

    def compile_for(here):
        now = Blank("now", field_of(Order, "claimed_at"))
        mine = claimable(order_id=Blank("id", field_of(Order, "id")), now=now)
        return compiled_update(mine, here, claimed(holder=Blank("me", field_of(Order, "claimed_by")), now=now))

    ready = Statement(Order, compile_for).ready({"id": 12, "now": NOW, "me": "me"})
    spaced.append((re.sub(r"\((%s)\)", r"\1", ready.sql), ready.values))
    assert spaced == [(sql, tuple(values)) for sql, values in plain if sql.startswith("UPDATE")]
