"""Import the history of an account that existed before its books were opened.

Empty books have nothing to disagree with, so the history is copied page by page, each page in a short transaction
of its own together with the place it ended at. Stopped anywhere, it goes on from there; a page read twice changes
nothing. Only afterwards is the account compared like any other.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from django.db import transaction
from django.utils import timezone

from audit import journal
from broker.errors import BrokerError
from broker.gateway import Gateway
from broker.models import Account
from broker.types import ActivitiesPage, BrokerFill, BrokerOrder
from orders.errors import OrdersMissing
from orders.history import import_fills, import_orders
from orders.models import Fill, Order
from positions.building import build_positions
from positions.models import Adjustment
from reconciliation.errors import IncompleteRead
from reconciliation.models import ReadingCursor
from reconciliation.progress import ProgressNote
from ui.formatting import counted

ACTOR = "system:import"
PAGES_IN_ONE_COMMIT = 5


def needs_import(account: Account, cursor: ReadingCursor) -> bool:
    """True for books that were never opened: nothing recorded, nothing imported, no cursor set."""
    if cursor.import_stage:
        return True
    if cursor.import_finished_at is not None or cursor.orders_read_to is not None:
        return False
    has_rows = any(model.objects.filter(account=account).exists() for model in (Order, Fill, Adjustment))
    return not has_rows


def import_history(*, account: Account, gateway: Gateway, cursor: ReadingCursor, note: ProgressNote) -> None:
    """Copy all orders, then all fills, then fold them. Goes on where an earlier attempt stopped."""
    if not cursor.import_stage:
        _move(cursor, stage="orders", place="", rows=0)
    if cursor.import_stage == "orders":
        _import_orders(account, gateway, cursor, note)
        _move(cursor, stage="activities", place="", rows=0)
    if cursor.import_stage == "activities":
        _import_fills(account, gateway, cursor, note)
        _move(cursor, stage="positions", place="", rows=0)
    _finish(account, cursor)


def _import_orders(account: Account, gateway: Gateway, cursor: ReadingCursor, note: ProgressNote) -> None:
    rows, proven = cursor.import_rows, False
    for page in gateway.orders_since(None, cursor=cursor.import_cursor, reads_ahead=True):
        rows += len(page.orders)
        proven = page.is_last
        with transaction.atomic():
            _book_orders(account, page.orders)
            _move(cursor, stage="orders", place=page.cursor or cursor.import_cursor, rows=rows)
        note("import orders", rows)
    _refuse_unproven("orders", proven=proven)


def _book_orders(account: Account, orders: Iterable[BrokerOrder]) -> None:
    import_orders(account=account, orders=list(orders), origin=Order.Origin.IMPORT, now=timezone.now(), actor=ACTOR)


def _import_fills(account: Account, gateway: Gateway, cursor: ReadingCursor, note: ProgressNote) -> None:
    rows, proven = cursor.import_rows, False
    listed = gateway.activities_since(None, cursor=cursor.import_cursor, reads_ahead=True)
    for pages in _blocks(listed):
        fills = [fill for page in pages for fill in page.fills]
        rows += len(fills)
        proven = pages[-1].is_last
        book = partial(_book_fills, account, fills, cursor, pages[-1].cursor or cursor.import_cursor, rows)
        try:
            book()
        except OrdersMissing as missing:  # they came after their page was read
            late = [gateway.get_order(broker_order_id) for broker_order_id in missing.broker_order_ids]
            with transaction.atomic():
                _book_orders(account, late)
            book()
        note("import fills", rows)
    _refuse_unproven("activities", proven=proven)


def _blocks(pages: Iterable[ActivitiesPage]) -> Iterator[list[ActivitiesPage]]:
    """Pages of activities are small, and each commit is written to the disk: take some of them together.

    What was read before Alpaca failed is given, too, so that nothing of it is asked for twice.
    """
    held: list[ActivitiesPage] = []
    try:
        for page in pages:
            held.append(page)
            if len(held) >= PAGES_IN_ONE_COMMIT:
                yield held
                held = []
    except BrokerError:
        if held:
            yield held
        raise
    if held:
        yield held


def _book_fills(account: Account, fills: list[BrokerFill], cursor: ReadingCursor, place: str, rows: int) -> None:
    with transaction.atomic():
        import_fills(account=account, fills=fills, now=timezone.now())
        _move(cursor, stage="activities", place=place, rows=rows)


def _refuse_unproven(name: str, *, proven: bool) -> None:
    """What was booked stays and is gone on from: only the end of the list is not believed."""
    if not proven:
        raise IncompleteRead(f"The list of {name} ended without proof that it was the end; the import goes on later.")


def _finish(account: Account, cursor: ReadingCursor) -> None:
    now = timezone.now()
    # An order that only waits has no fill, and is a position that is not open yet.
    symbols = {
        symbol
        for model in (Order, Fill)
        for symbol in model.objects.filter(account=account).order_by().values_list("symbol", flat=True).distinct()
    }
    build_positions(account=account, symbols=symbols, now=now)
    with transaction.atomic():
        orders, fills = _counts(account)
        journal.record(
            at=now,
            actor=ACTOR,
            action="account.imported",
            account=account.slug,
            subject_type="account",
            subject_id=account.pk,
            summary=f"Imported the history of {account.slug}: {counted(orders, 'order')}, {counted(fills, 'fill')}, "
            f"{counted(len(symbols), 'symbol')}.",
            after={"orders": orders, "fills": fills, "symbols": len(symbols)},
        )
        _end(cursor, now)


def _counts(account: Account) -> tuple[int, int]:
    return Order.objects.filter(account=account).count(), Fill.objects.filter(account=account).count()


def _move(cursor: ReadingCursor, *, stage: str, place: str, rows: int) -> None:
    cursor.import_stage, cursor.import_cursor, cursor.import_rows = stage, place, rows
    cursor.save(update_fields=["import_stage", "import_cursor", "import_rows"])


def _end(cursor: ReadingCursor, now: datetime) -> None:
    latest = Order.objects.filter(account=cursor.account, submitted_at__isnull=False).order_by("-submitted_at")
    newest = latest.values_list("submitted_at", flat=True).first()
    if newest is not None and newest > now:
        raise IncompleteRead("Alpaca's newest order lies in the future: the clocks differ too much to import.")
    cursor.import_stage, cursor.import_cursor = "", ""
    cursor.import_finished_at = now
    cursor.orders_read_to = cursor.activities_read_to = newest
    cursor.save(
        update_fields=[
            "import_stage", "import_cursor", "import_finished_at", "orders_read_to", "activities_read_to",
        ]
    )  # fmt: skip
