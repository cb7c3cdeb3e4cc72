"""Read the positions that Alpaca holds, and refuse a list that leaves one out."""

from collections.abc import Collection
from decimal import Decimal

from broker.errors import NotFound
from broker.gateway import Gateway
from broker.types import BrokerAccount, BrokerPosition
from reconciliation.errors import IncompleteRead

#: Alpaca's market values move between two calls; a position missing from a list makes a larger gap.
VALUE_TOLERANCE = Decimal("0.02")


def read_positions(
    gateway: Gateway, account: BrokerAccount, expected: Collection[str]
) -> tuple[BrokerAccount, dict[str, BrokerPosition]]:
    """Return the positions by symbol, with the account whose values agree with them.

    `expected` are the symbols that our books hold: what the list leaves out is asked for by name before it counts
    as gone. Raises IncompleteRead when the list is not whole.
    """
    positions = gateway.list_positions()
    if not _values_agree(account, positions):
        # Prices may have jumped between the two calls: ask for both again before calling it a contradiction.
        account, positions = gateway.get_account(), gateway.list_positions()
        if not _values_agree(account, positions):
            raise IncompleteRead(_disagreement(account, positions))
    listed = {position.symbol: position for position in positions}
    for symbol in sorted(set(expected) - set(listed)):
        _check_absent(gateway, symbol)
    return account, listed


def _check_absent(gateway: Gateway, symbol: str) -> None:
    try:
        gateway.get_position(symbol)
    except NotFound:
        return
    raise IncompleteRead(f"Alpaca holds {symbol}, but its list of positions leaves it out: the list is incomplete.")


def _values_agree(account: BrokerAccount, positions: list[BrokerPosition]) -> bool:
    """Alpaca's own sums show a list of positions that is empty or cut short."""
    return all(_close(said, listed) for said, listed in _value_pairs(account, positions))


def _value_pairs(account: BrokerAccount, positions: list[BrokerPosition]) -> list[tuple[Decimal, Decimal]]:
    values = [position.market_value for position in positions]
    if any(value is None for value in values):
        return []  # without prices there is nothing to compare
    known = [value for value in values if value is not None]
    return [
        (account.long_market_value, sum((v for v in known if v > 0), Decimal(0))),
        (account.short_market_value, sum((v for v in known if v < 0), Decimal(0))),
    ]


def _close(said: Decimal, listed: Decimal) -> bool:
    return abs(said - listed) <= max(abs(said), abs(listed)) * VALUE_TOLERANCE + Decimal("0.05")


def _disagreement(account: BrokerAccount, positions: list[BrokerPosition]) -> str:
    listed = sum((p.market_value or Decimal(0) for p in positions), Decimal(0))
    said = account.long_market_value + account.short_market_value
    return (
        f"Alpaca's account says that its positions are worth {said:,.2f} dollars, but its list of {len(positions)} "
        f"positions adds up to {listed:,.2f}: the list is incomplete."
    )
