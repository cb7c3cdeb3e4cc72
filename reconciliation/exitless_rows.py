"""Positions that are closed and do not say how: no rebuild gives such a row, so undoing puts it back as it was."""

from collections.abc import Collection, Mapping
from typing import Any

from broker.models import Account
from broker.numbers import plain
from positions.models import Position
from positions.projecting import FACTS, LEVELS

_SAME = ("symbol", "opened_at", "side")
_COLUMNS = {column.attname: column for column in Position._meta.concrete_fields}
_KEPT = (*dict.fromkeys((*_SAME, *FACTS, *LEVELS)),)


def exitless_rows(account: Account, symbols: Collection[str]) -> list[dict[str, Any]]:
    """Return their columns as JSON can keep them."""
    rows = Position.objects.filter(account=account, symbol__in=symbols, opened_at__isnull=False).closed()
    found = rows.filter(avg_exit_price__isnull=True).order_by("symbol", "sequence")
    return [{name: _spelled(row, name) for name in _KEPT} for row in found]


def put_back_exitless(undo_plan: Mapping[str, Any], *, account: Account) -> None:
    """After the rebuild: what it folded from the same opening is the closed row again that it was."""
    for columns in undo_plan.get("exitless", ()):
        values = {name: _COLUMNS[name].to_python(text) for name, text in columns.items()}
        same = {name: values[name] for name in _SAME}
        Position.objects.filter(account=account, **same).update(**values)


def _spelled(row: Position, name: str) -> Any:
    value = getattr(row, name)
    if value is None or isinstance(value, str | bool):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else plain(value)
