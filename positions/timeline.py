"""Everything that happened to one position, as one list: orders, fills, adjustments, parameters and fixes.

Rows come in and plain entries go out; nothing is read here. Newest first, which is what a trader looks for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from itertools import groupby
from typing import Any

from broker.times import NEW_YORK
from orders.models import Order
from positions.ledger_lines import LedgerLine
from positions.models import Adjustment, CashEntry, Crossing, ParameterChange
from ui.formatting import money, price, qty

#: More than this many entries nobody reads: the ledger and the list of orders have all of them.
MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One entry. `kind` is order, fill, adjustment, crossing, parameters or fix; `word` is a badge's or empty."""

    at: datetime
    kind: str
    text: str
    href: str = ""
    word: str = ""
    who: str = ""
    note: str = ""
    is_estimated: bool = False
    entered_by: str = ""  # whose number the price is


def merged(*sources: Iterable[Happening]) -> list[Happening]:
    """Return all entries, newest first, at most MOST of them. Of the same instant, the later source comes first."""
    entries = [entry for source in sources for entry in source]
    return sorted(entries, key=lambda entry: entry.at)[::-1][:MOST]


# --- Orders -------------------------------------------------------------------------------------------------

#: How an order ended other than by its fills: the state, and the field that says when.
_ENDS = (
    ("canceled", "canceled_at"),
    ("expired", "expired_at"),
    ("rejected", "failed_at"),
    ("replaced", "broker_updated_at"),
)


def of_orders(orders: Iterable[Order]) -> list[Happening]:
    """Each order when it was recorded, and when it ended if no fill says so."""
    entries = []
    for order in orders:
        about = _order_words(order)
        by = order.batch.created_by if order.batch else ""
        origin = f"line {order.line_number} of {order.batch.name}" if order.batch else _origin(order)
        begun = min(order.recorded_at, order.submitted_at or order.recorded_at)
        entries.append(
            Happening(
                at=begun, kind="order", text=f"Order: {about}", href=order.get_absolute_url(), who=by, note=origin
            )
        )
        if end := _end_of(order, about):
            entries.append(end)
    return entries


def _order_words(order: Order) -> str:
    size = qty(order.qty) if order.qty is not None else f"${order.notional} of"
    prices = [("stop", order.stop_price), ("limit", order.limit_price)]
    how = " ".join(f"{name} {price(value)}" for name, value in prices if value is not None)
    words = order.order_type.replace("_", " ")
    if how and words not in {"limit", "stop", "stop limit"}:
        how = f"{words} {how}"
    return f"{order.get_side_display().lower()} {size} {order.symbol} {how or words}"


def _origin(order: Order) -> str:
    origins = {
        "backfill": "copied from Alpaca by a fix",
        "external": "placed outside this program",
        "import": "from before the books were opened",
    }
    return origins.get(order.origin, "")


def _end_of(order: Order, about: str) -> Happening | None:
    if order.submission_state in {"denied", "rejected", "not_placed"}:
        at = order.failed_at or order.looked_up_at or order.claimed_at or order.recorded_at
        return Happening(
            at=at,
            kind="order",
            text=f"Order did not reach the market: {about}",
            href=order.get_absolute_url(),
            word=order.submission_state,
            note=order.refusal,
        )
    for state, field in _ENDS:
        at = getattr(order, field)
        if order.status == state and at is not None:
            filled = f", {qty(order.filled_qty)} were filled" if order.filled_qty else ""
            text = f"Order ended: {about}{filled}"
            return Happening(at=at, kind="order", text=text, href=order.get_absolute_url(), word=state)
    return None


# --- The ledger ---------------------------------------------------------------------------------------------


def of_ledger(ledger: Sequence[LedgerLine]) -> list[Happening]:
    """Fills and adjustments. Fills of one order in a row are one entry: an order may fill in dozens of parts."""
    entries = []
    for _, run in groupby(ledger, key=_belongs_to):
        lines = list(run)
        adjustment = lines[0].adjustment
        entries.append(_filled(lines) if adjustment is None else _adjusted(lines[0], adjustment))
    return entries


def _belongs_to(line: LedgerLine) -> tuple[str, int]:
    if line.fill is not None:
        return "order", line.fill.order_id
    return "line", line.adjustment.pk if line.adjustment else id(line)


def _filled(lines: Sequence[LedgerLine]) -> Happening:
    last = lines[-1]
    bought = sum((line.qty for line in lines), Decimal(0))
    average = sum((line.qty * line.price for line in lines), Decimal(0)) / bought if bought else last.price
    side = "Bought" if bought > 0 else "Sold"
    parts = f" in {len(lines)} fills, on average" if len(lines) > 1 else ""
    return Happening(
        at=last.at,
        kind="fill",
        text=f"{side} {qty(abs(bought))}{parts} at {price(average)}",
        href=last.fill.order.get_absolute_url() if last.fill else "",
        note=_held(last.held) + _today(lines),
        is_estimated=any(line.is_estimated for line in lines),
    )


def _today(lines: Sequence[LedgerLine]) -> str:
    """What was filled before a split, in the shares of today."""
    if not lines[-1].is_rescaled:
        return ""
    size = sum((line.qty_today for line in lines), Decimal(0))
    average = sum((line.qty_today * line.price_today for line in lines), Decimal(0)) / size
    return f"; {qty(abs(size))} at {price(average)} in today's shares"


def _adjusted(line: LedgerLine, adjustment: Adjustment) -> Happening:
    size = f"{qty(line.qty)} at " if line.qty else ""
    said = f"{size}{price(line.price)}"
    if adjustment.ratio is not None:
        said = f"{qty(adjustment.ratio)} new shares for one old; the cost stays"
    return Happening(
        at=line.at,
        kind="adjustment",
        text=f"{adjustment.get_kind_display()}: {said}",
        who=adjustment.recorded_by,
        note=f"{adjustment.reason} {_held(line.held)}.",
        is_estimated=line.is_estimated,
        entered_by=adjustment.entered_by,
    )


def _held(held: Decimal) -> str:
    return f"{qty(held)} held after it" if held else "nothing held after it"


def of_crossings(crossings: Iterable[Crossing], symbol: str) -> list[Happening]:
    """What was crossed with nothing at Alpaca to act on it; of a level that was crossed again, the last time."""
    return [
        Happening(
            at=row.crossed_at,
            kind="crossing",
            text=f"{symbol} went through its {row.get_level_display().lower()} of {price(row.level_price)}: "
            f"{price(row.price)} was seen",
            note=f"acknowledged by {row.acknowledged_by}" if row.acknowledged_at else "nobody has acknowledged it",
        )
        for row in crossings
    ]


def of_cash(entries: Iterable[CashEntry]) -> list[Happening]:
    """Dividends and other money of the symbol, on the day they count for."""
    return [
        Happening(
            at=datetime.combine(entry.day, time(), NEW_YORK),
            kind="cash",
            text=f"{'Received' if entry.net_amount > 0 else 'Paid'} ${money(abs(entry.net_amount))}: "
            f"{entry.activity_type}",
            note=entry.description,
            who=entry.recorded_by,
            is_estimated=entry.is_estimated,
        )
        for entry in entries
    ]


# --- Parameters and fixes -----------------------------------------------------------------------------------


def of_parameters(changes: Iterable[ParameterChange]) -> list[Happening]:
    return [
        Happening(
            at=change.at,
            kind="parameters",
            text=f"{'Parameters of ' + change.symbol if change.symbol else 'Default of the account'}: "
            f"{percentages(change.before)} → {percentages(change.after)}",
            who=change.actor,
            note="open positions were recalculated" if change.applied_to_open else "open positions kept their levels",
        )
        for change in changes
    ]


def percentages(stored: dict[str, str] | None) -> str:
    """Spell the percentages of a change; None is what a symbol has that follows the default."""
    if not stored:
        return "none of its own"
    return f"stop {stored['stop_loss_pct']} %, target {stored['target_pct']} %"


def of_fixes(fixes: Iterable[Any]) -> list[Happening]:
    """Repairs of the record (`Account.fixes`: reconciliation stands above this package): done, undone, or proposed."""
    entries = []
    for fix in fixes:
        if fix.applied_at is not None:
            word = "" if fix.state == "undone" else fix.state
            entries.append(_fixed(fix, fix.applied_at, f"Record repaired: {fix.title}", word, fix.approved_by))
            if fix.undone_at is not None:
                entries.append(_fixed(fix, fix.undone_at, f"Repair undone: {fix.title}", "undone", fix.undone_by))
        elif fix.state in {"proposed", "approved"}:
            entries.append(_fixed(fix, fix.proposed_at, f"Repair proposed: {fix.title}", fix.state, fix.approved_by))
    return entries


def _fixed(fix: Any, at: datetime, text: str, word: str, who: str) -> Happening:
    return Happening(at=at, kind="fix", text=text, href=fix.get_absolute_url(), word=word, who=who, note=fix.outcome)
