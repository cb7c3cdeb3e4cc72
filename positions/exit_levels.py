"""Where the exits of an account's entries lie: by the parameters, or with the position that they add to."""

from collections.abc import Collection
from decimal import Decimal

from broker.models import Account
from orders.bracketing import Exits
from orders.models import Order
from orders.order_class import BRACKET
from positions.in_force import ParameterBook
from positions.models import Position
from positions.risk import levels


class ExitLevels:
    """The `orders.bracketing.LevelBook` of one account. Four queries at most."""

    def __init__(self, account: Account, symbols: Collection[str]) -> None:
        self._parameters = ParameterBook(account)
        self._planned = _of_waiting_entries(account, symbols) | _of_open_positions(account, symbols)

    def reckoned(self, symbol: str, entry_price: Decimal, *, is_long: bool) -> Exits:
        by = self._parameters.now(symbol)
        found = levels(
            entry_price=entry_price,
            side="long" if is_long else "short",
            stop_loss_pct=by.stop_loss_pct,
            target_pct=by.target_pct,
        )
        return Exits(found.stop_loss, found.target)

    def planned(self, symbol: str, *, is_long: bool) -> Exits | None:
        return self._planned.get((symbol, is_long))


def _of_open_positions(account: Account, symbols: Collection[str]) -> dict[tuple[str, bool], Exits]:
    rows = Position.objects.open().filter(account=account, symbol__in=symbols)
    return {
        (row.symbol, row.side == "long"): Exits(row.stop_loss, row.target)
        for row in rows
        if row.stop_loss is not None and row.target is not None
    }


def _of_waiting_entries(account: Account, symbols: Collection[str]) -> dict[tuple[str, bool], Exits]:
    """Entries that are recorded or at Alpaca, and not filled yet; the newest decides."""
    rows = Order.objects.working().filter(
        account=account,
        symbol__in=symbols,
        order_class=BRACKET,
        stop_loss_stop_price__isnull=False,
        take_profit_limit_price__isnull=False,
    )
    return {
        (row.symbol, row.side == "buy"): Exits(row.stop_loss_stop_price, row.take_profit_limit_price)
        for row in rows.order_by("recorded_at", "pk").defer("raw")
    }
