"""Note the broker's last prices on open positions."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from broker.models import Account
from positions.models import Position


def note_prices(*, account: Account, prices: Mapping[str, Decimal], now: datetime) -> int:
    """Write the prices that changed onto the open positions; return how many did.

    A conditional write of two columns only: a rebuild at the same time loses nothing, and a position that closed
    meanwhile keeps its last price.
    """
    changed = []
    for row in Position.objects.open().filter(account=account, symbol__in=prices):
        if row.last_price != prices[row.symbol]:
            row.last_price, row.last_price_at = prices[row.symbol], now
            changed.append(row)
    if changed:
        Position.objects.open().bulk_update(changed, ["last_price", "last_price_at"])
    return len(changed)
