"""The line of a bank reconciliation: what was matched lately against what remains, until nothing remains."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from broker.models import Account
from reconciliation.models import Drift

#: How long what was matched counts: a morning's work is seen as a whole.
SPAN = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Causes that are matched and those that remain, in numbers and in dollars touched."""

    matched: int
    matched_dollars: Decimal
    remaining: int
    remaining_dollars: Decimal

    @property
    def count(self) -> int:
        return self.matched + self.remaining

    @property
    def dollars(self) -> Decimal:
        return self.matched_dollars + self.remaining_dollars

    @property
    def percent(self) -> int:
        """The share that is matched, by dollars; by number where no dollars are known. 100 only if nothing remains."""
        if not self.remaining:
            return 100
        share = self.matched_dollars / self.dollars if self.dollars else Decimal(self.matched) / self.count
        return min(int(share * 100), 99)


def balance_of(account: Account, now: datetime, open_causes: Iterable[tuple[str, Decimal | None]]) -> Balance:
    """Take what is open as (key, dollars). A difference that came back is not matched, and each is counted once."""
    remaining = dict(open_causes)
    ended = Drift.objects.filter(account=account, state=Drift.State.RESOLVED, resolved_at__gt=now - SPAN).roots()
    matched = {key: dollars for key, dollars in ended.values_list("key", "dollars") if key not in remaining}
    return Balance(
        matched=len(matched),
        matched_dollars=sum((dollars or Decimal(0) for dollars in matched.values()), Decimal(0)),
        remaining=len(remaining),
        remaining_dollars=sum((dollars or Decimal(0) for dollars in remaining.values()), Decimal(0)),
    )
