"""Note the broker's last prices on open positions, and what they have crossed."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from broker.models import Account
from positions.crossing import Sighting, note_crossings
from positions.models import Position


def note_prices(*, account: Account, prices: Mapping[str, Decimal], now: datetime) -> int:
    """Write the prices that changed onto the open positions; return how many did.

    A conditional write of two columns only: a rebuild at the same time loses nothing, and a position that closed
    meanwhile keeps its last price. A stop or target that was crossed is recorded in the same transaction: were it
    lost, the price before, which shows the crossing, would be gone.
    """
    changed, sightings = [], []
    for row in Position.objects.open().filter(account=account, symbol__in=prices):
        price = prices[row.symbol]
        sightings.append(Sighting(row, row.last_price, price))
        if row.last_price != price:
            row.last_price, row.last_price_at = price, now
            changed.append(row)
    if not changed:
        note_crossings(account=account, sightings=sightings, now=now)
        return 0
    with transaction.atomic():
        Position.objects.open().bulk_update(changed, ["last_price", "last_price_at"])
        note_crossings(account=account, sightings=sightings, now=now)
    return len(changed)
