"""Rebuild every position from the ledger, add up the cash, and hold both against Alpaca. Writes nothing."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from broker.errors import BrokerError
from broker.gateway import open_gateway
from broker.models import Account
from broker.numbers import plain
from broker.types import BrokerAccount, BrokerPosition
from positions.cash import cash_books
from positions.models import Position
from positions.rebuilding import compute_positions, differences
from reconciliation.binding import check_account
from reconciliation.errors import IncompleteRead
from reconciliation.holdings import read_positions


@dataclass(slots=True, kw_only=True)
class Verification:
    """`stored`, `broker` and `cash` list what differs, as rows for people; all empty means equal."""

    account: str
    positions: int
    stored: list[dict[str, Any]] = field(default_factory=list)
    broker: list[dict[str, Any]] = field(default_factory=list)
    cash: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        return not self.stored and not self.broker and not self.cash


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
    theirs, positions = _read(account, computed, now)
    found.broker.extend(_against_broker(computed, positions))
    found.cash.extend(_cash_against_broker(account, theirs))
    return found


def _read(account: Account, computed: list[Position], now: datetime) -> tuple[BrokerAccount, dict[str, BrokerPosition]]:
    held = {row.symbol for row in computed if row.state == Position.State.OPEN}
    try:
        gateway = open_gateway(account)
        found = gateway.get_account()
        check_account(account=account, gateway=gateway, found=found, now=now)
        return read_positions(gateway, found, held)
    except BrokerError as error:
        raise IncompleteRead(str(error)) from error


def _against_broker(computed: list[Position], positions: dict[str, BrokerPosition]) -> list[dict[str, Any]]:
    ours = {row.symbol: row.qty for row in computed if row.state == Position.State.OPEN}
    theirs = {symbol: position.qty for symbol, position in positions.items()}
    zero = Decimal(0)
    return [
        {"symbol": symbol, "rebuilt": plain(ours.get(symbol, zero)), "broker": plain(theirs.get(symbol, zero))}
        for symbol in sorted(set(ours) | set(theirs))
        if ours.get(symbol, zero) != theirs.get(symbol, zero)
    ]


def _cash_against_broker(account: Account, theirs: BrokerAccount) -> list[dict[str, Any]]:
    """Entries and fills added up anew; nothing while the cash ledger has no opening balance."""
    books = cash_books(account, anew=True)
    if books is None or abs(theirs.cash - books.expected) <= books.tolerance:
        return []
    return [{"added_up": plain(books.expected), "broker": plain(theirs.cash)}]


def _spell(value: object) -> str | None:
    return plain(value) if isinstance(value, Decimal) else (None if value is None else str(value))
