"""From a fill of Alpaca's to a line of the ledger. Pure."""

from broker.types import BrokerFill
from positions.accounting import LedgerEntry


def entry_of(fill: BrokerFill) -> LedgerEntry:
    return LedgerEntry(
        at=fill.transaction_time,
        order_key=fill.activity_id,
        qty=fill.qty if fill.side == "buy" else -fill.qty,
        price=fill.price,
        kind="fill",
        is_estimated=False,
    )
