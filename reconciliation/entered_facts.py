"""How a line of the ledger whose price a person entered is spelled in a plan, booked from it, and told. Pure."""

from collections.abc import Mapping
from typing import Any

from broker.numbers import exact_or_none, plain
from positions.accounting import LedgerEntry


def entered_facts(entry: LedgerEntry) -> dict[str, str | None]:
    """What an operation says beside the price; nothing where nobody entered it."""
    if not entry.entered_by:
        return {}
    return {"entered_by": entry.entered_by, "price_at_broker": plain(entry.price_at_broker)}


def entered_columns(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the line that the operation books."""
    return {
        "entered_by": operation.get("entered_by", ""),
        "price_at_broker": exact_or_none(operation.get("price_at_broker")),
    }


def told_as_entered(entry: LedgerEntry) -> str:
    return f", entered by {entry.entered_by}" if entry.entered_by else ""


def whose_price(operation: Mapping[str, Any]) -> str:
    """The end of a sentence about what an operation books."""
    return f" at the price that {operation['entered_by']} entered" if operation.get("entered_by") else ""
