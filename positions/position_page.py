"""What the page of one position shows, read in a constant number of queries however long its history is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from broker.times import NEW_YORK
from orders.models import Fill, Order
from positions import timeline
from positions.ledger_lines import LedgerLine, ledger_lines
from positions.models import CashEntry, Crossing, ParameterChange, Position
from positions.parameter_sources import Source, parameter_sources
from positions.timeline import Happening

RECENT_ORDERS = 50
#: JSON that only the pages of a fix show.
_HEAVY = ("plan", "before", "broker", "after", "undo_plan")


def _between(field: str, since: datetime | None, until: datetime | None) -> Q:
    found = Q()
    if since is not None:
        found &= Q(**{f"{field}__gte": since})
    if until is not None:
        found &= Q(**{f"{field}__lt": until})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened to one position, and what it follows from."""

    timeline: list[Happening]
    ledger: list[LedgerLine]
    sources: list[Source]
    round_trips: list[Position]


def history_of(position: Position) -> History:
    account, symbol = position.account, position.symbol
    others = list(Position.objects.filter(account=account, symbol=symbol).exclude(pk=position.pk))
    ledger = ledger_lines(position)
    changes = list(
        ParameterChange.objects.filter(account=account, symbol__in=[symbol, ""]).defer("effects")[: timeline.MOST]
    )
    return History(
        timeline=timeline.merged(
            timeline.of_parameters(change for change in changes if _touches(change, position)),
            timeline.of_orders(_orders(position, ledger, others)),
            timeline.of_ledger(ledger),
            timeline.of_cash(_cash(position)),
            timeline.of_crossings(Crossing.objects.filter(position=position)[: timeline.MOST], symbol),
            timeline.of_fixes(_fixes(position, others)),
        ),
        ledger=ledger,
        sources=parameter_sources(account, symbol, changes),
        round_trips=others,
    )


def _touches(change: ParameterChange, position: Position) -> bool:
    """A change of the symbol's own parameters always does; one of the default only if it moved this position."""
    too_early = position.opened_at is not None and change.at < position.opened_at
    too_late = position.closed_at is not None and change.at > position.closed_at
    if too_early or too_late:
        return False
    return bool(change.symbol) or (change.applied_to_open and not position.parameters_from.startswith("own"))


def _orders(position: Position, ledger: list[LedgerLine], others: list[Position]) -> "QuerySet[Order]":
    """The orders behind the ledger, and those since the round trip before that filled nothing elsewhere."""
    ends = (row.closed_at for row in others if row.sequence < position.sequence and row.closed_at)
    meanwhile = _between("recorded_at", max(ends, default=None), position.closed_at)
    mine = {line.fill.order_id for line in ledger if line.fill is not None}
    filled = Exists(Fill.objects.filter(order=OuterRef("pk")))
    found = Order.objects.filter(account=position.account, symbol=position.symbol).select_related("batch").defer("raw")
    return found.filter(Q(pk__in=mine) | (meanwhile & ~filled))[: timeline.MOST]


def _cash(position: Position) -> "QuerySet[CashEntry]":
    """Dividends and fees of the symbol while it was held, and on the day it was left."""
    entries: QuerySet[CashEntry] = CashEntry.objects.filter(account=position.account, symbol=position.symbol)
    if position.opened_at is None:
        return entries.none()
    entries = entries.filter(day__gte=position.opened_at.astimezone(NEW_YORK).date())
    if position.closed_at is not None:
        entries = entries.filter(day__lte=position.closed_at.astimezone(NEW_YORK).date())
    return entries.defer("raw").order_by("-day", "-pk")[: timeline.MOST]


def _fixes(position: Position, others: list[Position]) -> "QuerySet[Any]":
    """What was proposed since the opening and before the next one: a repair comes after what it repairs.

    By the account's relation: reconciliation stands above this package.
    """
    openings = (row.opened_at for row in others if row.sequence > position.sequence and row.opened_at)
    since_opening = _between("proposed_at", position.opened_at, min(openings, default=None))
    fixes = position.account.fixes.filter(since_opening, symbol=position.symbol)
    shown = fixes.filter(Q(applied_at__isnull=False) | Q(state__in=["proposed", "approved"]))
    return shown.order_by("-id").defer(*_HEAVY)[: timeline.MOST]


def recent_orders(position: Position) -> "QuerySet[Order]":
    return Order.objects.filter(account=position.account, symbol=position.symbol).defer("raw")[:RECENT_ORDERS]
