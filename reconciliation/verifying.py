"""Rebuild every position from the ledger and hold it against the stored ones and against Alpaca. Writes nothing."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from broker.errors import BrokerError
from broker.gateway import open_gateway
from broker.models import Account
from broker.numbers import plain
from positions.models import Position
from positions.rebuilding import compute_positions, differences
from reconciliation.binding import check_account
from reconciliation.errors import IncompleteRead
from reconciliation.holdings import read_positions


@dataclass(slots=True, kw_only=True)
class Verification:
    """`stored` and `broker` list what differs, as rows for people; both empty means equal."""

    account: str
    positions: int
    stored: list[dict[str, Any]] = field(default_factory=list)
    broker: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return not self.stored and not self.broker


def verify_account(*, account: Account, now: datetime) -> Verification:
    """Compare. Raises IncompleteRead when Alpaca cannot be read: then nothing is known."""
    computed = compute_positions(account, now=now)
    stored = list(Position.objects.filter(account=account))
    found = Verification(account=account.slug, positions=len(computed))
    for difference in differences(stored, computed):
        found.stored.append(
            {
                "symbol": difference.symbol,
                "sequence": difference.sequence,
                "field": difference.field,
                "stored": _spell(difference.stored),
                "rebuilt": _spell(difference.computed),
            }
        )
    found.broker.extend(_against_broker(account, computed, now))
    return found


def _against_broker(account: Account, computed: list[Position], now: datetime) -> list[dict[str, Any]]:
    ours = {row.symbol: row.qty for row in computed if row.state == Position.State.OPEN}
    try:
        gateway = open_gateway(account)
        found = gateway.get_account()
        check_account(account=account, gateway=gateway, found=found, now=now)
        _, positions = read_positions(gateway, found, ours)
    except BrokerError as error:
        raise IncompleteRead(str(error)) from error
    theirs = {symbol: position.qty for symbol, position in positions.items()}
    zero = Decimal(0)
    return [
        {"symbol": symbol, "rebuilt": plain(ours.get(symbol, zero)), "broker": plain(theirs.get(symbol, zero))}
        for symbol in sorted(set(ours) | set(theirs))
        if ours.get(symbol, zero) != theirs.get(symbol, zero)
    ]


def _spell(value: object) -> str | None:
    return plain(value) if isinstance(value, Decimal) else (None if value is None else str(value))
