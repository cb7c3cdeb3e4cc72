"""What an open position's stop and target followed before a fix, so that undoing it lets them follow that again.

A rebuild keeps the percentages that a row has: it cannot tell that those of a bracket came with a fill that is gone.
"""

from collections.abc import Collection, Mapping
from typing import Any

from broker.models import Account
from broker.numbers import exact, plain
from positions.models import Position

_FOLLOWED = ("stop_loss_pct", "target_pct")
Followed = dict[str, dict[str, str | None]]


def followed_levels(account: Account, symbols: Collection[str]) -> Followed:
    """Return, by symbol, what the open position's levels follow, as JSON can keep it."""
    rows = Position.objects.open().filter(account=account, symbol__in=symbols)
    return {row.symbol: _followed(row) for row in rows}


def follow_again(plan: Mapping[str, Any], *, account: Account, present: Followed) -> bool:
    """After the rebuild: let positions follow what they followed before the fix; True if one must be rebuilt again.

    `present` is what they followed before it was undone: what a person chose since the fix stays.
    """
    before, after = plan.get("followed", {}).get("before", {}), plan.get("followed", {}).get("after", {})
    changed = False
    for row in Position.objects.open().filter(account=account, symbol__in=before):
        was = before[row.symbol]
        if was == _followed(row) or present.get(row.symbol) != after.get(row.symbol) or was["side"] != row.side:
            continue
        values = {name: None if was[name] is None else exact(str(was[name])) for name in _FOLLOWED}
        Position.objects.filter(pk=row.pk).update(**values, parameters_from=was["parameters_from"])
        changed = True
    return changed


def _followed(row: Position) -> dict[str, str | None]:
    percentages = {name: plain(getattr(row, name)) for name in _FOLLOWED}
    return {**percentages, "parameters_from": row.parameters_from, "side": row.side}
