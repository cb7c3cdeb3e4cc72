"""Symbols in which Alpaca filled more than our ledger has: an order's state is booked a moment before its fills."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from broker.models import Account
from orders.models import Fill, Order


def symbols_behind(account: Account, symbols: Collection[str], now: datetime) -> set[str]:
    """Return those of the symbols whose fills are still on their way, as long as they are asked for.

    What is held there is not what the ledger says, so nothing may be sold or bought back by it.
    """
    if not symbols:
        return set()
    followed = Order.objects.followed(now).filter(account=account, symbol__in=symbols).order_by()
    rows = followed.values_list("pk", "symbol", "filled_qty")
    filled = {pk: (symbol, qty) for pk, symbol, qty in rows if qty}
    if not filled:
        return set()
    booked: dict[int, Decimal] = defaultdict(Decimal)
    for pk, qty in Fill.objects.filter(order__in=filled).order_by().values_list("order_id", "qty"):
        booked[pk] += qty
    return {symbol for pk, (symbol, qty) in filled.items() if booked[pk] < qty}
