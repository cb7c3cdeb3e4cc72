"""The wipe-out guard: a plan that ends or changes too many open positions at once needs a person who says so.

One bad read, one wrong rule, and every position is closed in the books at once: several programs did that. So what is
approved but not applied yet is counted together, and beyond a share of the open positions neither a policy nor one
click lets it through. Opening positions does not count, and fewer than `FEWEST` are never too many.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from broker.models import Account
from positions.models import Position
from reconciliation.models import Fix

#: Fewer positions than this at once are everyday work, however small the account.
FEWEST = 3
_TOLD = ("state", "qty", "avg_entry_price")


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeOut:
    """More than the account's share: which positions, of how many."""

    symbols: tuple[str, ...]
    open_positions: int
    share_pct: int

    @property
    def count(self) -> int:
        return len(self.symbols)

    @property
    def sentence(self) -> str:
        named = ", ".join(self.symbols[:8]) + (f" and {self.count - 8} more" if self.count > 8 else "")
        return (
            f"Together this would close, void or change {self.count} of {self.open_positions} open positions "
            f"({named}), more than the {self.share_pct} % that may change at once."
        )


def touches_open_position(fix: Fix) -> bool:
    """True if a position that is open in our books would end, or have another quantity or average price."""
    before: dict[str, Any] = (fix.before or {}).get("position") or {}
    after: dict[str, Any] = (fix.after or {}).get("position") or {}
    if before.get("state") != Position.State.OPEN:
        return False
    return any((before.get(name) or "") != (after.get(name) or "") for name in _TOLD)


def wipe_out(account: Account, fixes: Iterable[Fix]) -> WipeOut | None:
    """Judge fixes that would be applied together; None while they stay within the account's share."""
    symbols = tuple(sorted({fix.symbol for fix in fixes if touches_open_position(fix)}))
    if len(symbols) < FEWEST:
        return None
    held = Position.objects.filter(account=account).open().count()
    if len(symbols) * 100 <= account.guard_share_pct * held:
        return None
    return WipeOut(symbols=symbols, open_positions=held, share_pct=account.guard_share_pct)


def approved_together_with(account: Account, fixes: Iterable[Fix]) -> list[Fix]:
    """The fixes, and those that are approved already and wait to be applied with them."""
    wanted = {fix.pk: fix for fix in fixes}
    waiting = Fix.objects.filter(account=account, state=Fix.State.APPROVED).exclude(pk__in=wanted)
    return [*wanted.values(), *waiting]
