"""What a fix wrote, row by row, and what undoing it would do: both from the way back that it kept."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse

from orders.models import Fill, Order
from positions.models import Adjustment, CashEntry
from reconciliation.errors import FixRefused
from reconciliation.models import Fix
from reconciliation.operations import check_reversible
from reconciliation.presentation import position_in_words
from ui.formatting import money, price, qty

#: Columns that follow from the others, or mean nothing to people.
_UNTOLD = frozenset({"raw", "is_booked", "broker_updated_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One row of the database that the fix added, changed or removed. Without a link it is there no more."""

    act: str  # added, changed, removed
    row: str
    what: str
    undo: str  # what undoing does to it
    href: str = ""


def written_by(fix: Fix) -> list[Written]:
    """Return the rows in the order in which they were written; empty before it was applied."""
    plan = fix.undo_plan
    if not plan or fix.acts_at_broker:
        return []
    rows = [*_added_orders(plan), *_changed_orders(plan), *_added_fills(plan), *_removed_fills(plan)]
    rows += [*_adjustments(plan), *_cash_entries(plan)]
    after, before = position_in_words(fix), str((fix.before.get("position") or {}).get("state") or "none")
    if after:
        rows.append(
            Written(
                act="folded anew",
                row=f"Position {fix.symbol}",
                what=f"{before} → {after}",
                undo="folded anew without it",
                href=f"{reverse('positions:list')}?q={fix.symbol}",
            )
        )
    return rows


def _added_orders(plan: Mapping[str, Any]) -> Iterator[Written]:
    kept = set(Order.objects.filter(pk__in=plan["created"]["orders"]).values_list("pk", flat=True))
    for pk, columns in plan["created_orders"].items():
        size = qty(columns.get("qty")) if columns.get("qty") else f"${columns.get('notional')} of"
        filled = f", {qty(columns['filled_qty'])} filled" if columns.get("filled_qty") else ""
        average = f" at {price(columns['filled_avg_price'])}" if columns.get("filled_avg_price") else ""
        yield Written(
            act="added",
            row=f"Order {pk}",
            what=f"{columns['side']} {size} {columns['symbol']}, {_words(columns['status'])}{filled}{average}",
            undo="deleted",
            href=reverse("orders:order", args=[pk]) if int(pk) in kept else "",
        )


def _changed_orders(plan: Mapping[str, Any]) -> Iterator[Written]:
    for item in plan["restored"]:
        before, after = item["before"], item["after"]
        moved = [
            f"{_words(name)} {_words(before.get(name)) or '–'} → {_words(after[name]) or '–'}"
            for name in after
            if name not in _UNTOLD and before.get(name) != after[name]
        ]
        yield Written(
            act="changed",
            row=f"Order {item['order']}",
            what="; ".join(moved) or "its event list",
            undo="put back, every column",
            href=reverse("orders:order", args=[item["order"]]),
        )


def _added_fills(plan: Mapping[str, Any]) -> Iterator[Written]:
    kept = {fill.pk: fill for fill in Fill.objects.filter(pk__in=plan["created"]["fills"])}
    for pk in plan["created"]["fills"]:
        fill = kept.get(pk)
        said = f"{fill.side} {qty(fill.qty)} at {price(fill.price)}, activity {fill.activity_id}" if fill else "gone"
        yield Written(act="added", row=f"Fill {pk}", what=said, undo="deleted")


def _removed_fills(plan: Mapping[str, Any]) -> Iterator[Written]:
    for fill in plan["taken_out"]:
        said = f"{fill['side']} {qty(fill['qty'])} at {price(fill['price'])}, activity {fill['activity_id']}"
        yield Written(act="removed", row=f"Fill {fill['id']}", what=said, undo="put back")


def _adjustments(plan: Mapping[str, Any]) -> Iterator[Written]:
    kept = {line.pk: line for line in Adjustment.objects.filter(pk__in=plan["created"]["adjustments"])}
    for pk in plan["created"]["adjustments"]:
        line = kept.get(pk)
        yield Written(act="added", row=f"Adjustment {pk}", what=_adjustment_words(line), undo="deleted")
    for old in plan["taken_back"]:
        said = f"{old['kind']} of {qty(old['qty'])} at {price(old['price'])}"
        yield Written(act="removed", row=f"Adjustment {old['id']}", what=said, undo="put back")


def _adjustment_words(line: Adjustment | None) -> str:
    if line is None:
        return "gone"
    if line.ratio is not None:
        return f"{line.get_kind_display()} of {line.symbol}: {qty(line.ratio)} new shares for one old"
    return f"{line.get_kind_display()} of {qty(line.qty)} {line.symbol} at {price(line.price)}"


def _cash_entries(plan: Mapping[str, Any]) -> Iterator[Written]:
    pks = plan["created"].get("cash_entries", ())
    kept = {entry.pk: entry for entry in CashEntry.objects.filter(pk__in=pks)}
    for pk in pks:
        entry = kept.get(pk)
        said = f"{entry.activity_type} of {money(entry.net_amount)} dollars" if entry else "gone"
        yield Written(act="added", row=f"Cash entry {pk}", what=said, undo="deleted", href=reverse("positions:cash"))


def _words(value: object) -> str:
    return "" if value is None else str(value).replace("_", " ")


def why_not_undone(fix: Fix, now: datetime) -> str:
    """Return why undoing would be refused now; empty if it would be done. Nothing is written."""
    if fix.undo_plan is None:
        return "It kept no way back."
    try:
        check_reversible(fix.undo_plan, account=fix.account, symbol=fix.symbol, applied_at=fix.applied_at or now)
    except FixRefused as refusal:
        return str(refusal)
    return ""
