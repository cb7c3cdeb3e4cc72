"""The writes that book a correction, on the ledger that it was planned for and on no other. Our database only."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from broker.models import Account
from broker.numbers import exact
from positions.accounting import position_at
from positions.models import Adjustment
from positions.rebuilding import ledger_of
from reconciliation.adjusting import stands_on
from reconciliation.entered_facts import entered_columns
from reconciliation.errors import FixRefused
from reconciliation.guesses import FIX_REFERENCE


def check_ledger(operation: Mapping[str, Any], account: Account, *, is_first: bool) -> None:
    """Inside the transaction, at the last moment: whoever books fills may have been here since the fresh run."""
    symbol = operation["symbol"]
    held = stands_on(position_at(ledger_of(account, [symbol]).get(symbol, ())))
    if is_first and held != operation["stands_on"]:
        raise FixRefused(f"The ledger of {symbol} moved after it was read: {held['qty']} are held by now.")


def book_adjustment(
    operation: Mapping[str, Any], account: Account, fix_pk: int, number: int, now: datetime
) -> Adjustment:
    """Book it behind everything the ledger holds, so that it does what was shown even if the clocks differ.

    An exit that a person knows of is booked when it was: what was traded since belongs to another round trip.
    """
    symbol = operation["symbol"]
    dated = datetime.fromisoformat(operation["at"]) if operation.get("at") else None
    latest = max((entry.at for entry in ledger_of(account, [symbol]).get(symbol, ())), default=now)
    return Adjustment.objects.create(
        account=account,
        symbol=symbol,
        kind=operation["kind"],
        qty=exact(operation["qty"]),
        price=exact(operation["price"]),
        effective_at=dated or max(now, latest + timedelta(microseconds=1)),
        reference=f"{FIX_REFERENCE}{fix_pk}:{number}",
        reason=f"Fix {fix_pk}: {operation['reason']}"[:300],
        is_estimated=operation["is_estimated"],
        **entered_columns(operation),
        recorded_at=now,
        recorded_by=f"{FIX_REFERENCE}{fix_pk}",
    )
