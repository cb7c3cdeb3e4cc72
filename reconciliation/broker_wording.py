"""What a fix does at Alpaca, in sentences for whoever is to approve it."""

from collections.abc import Mapping
from typing import Any

from broker.decimals import plain
from broker.numbers import exact_or_none
from orders.order_class import SIMPLE
from reconciliation.models import Fix
from reconciliation.opposites import opposite_in_words
from reconciliation.proposals import replaced_by
from reconciliation.protection_planning import in_terms

_ALONE = frozenset({"", SIMPLE})


def acts_in_words(fix: Fix) -> str:
    """Say before it is done what is asked of Alpaca, and that it cannot be taken back."""
    said = [_asked(operation) for operation in fix.plan]
    return " ".join(
        [
            *said,
            "Alpaca is read again first. Each request is made once, and what became of it is looked up.",
            opposite_in_words(fix),
        ]
    )


def _asked(operation: Mapping[str, Any]) -> str:
    match operation.get("op"):
        case "cancel_order":
            is_alone = operation["was"]["order_class"] in _ALONE
            pair = "" if is_alone else ", and what is paired with it ends too"
            return f"It asks Alpaca to cancel the order to {operation['name']}{pair}."
        case "replace_order":
            return f"It asks Alpaca to replace the order to {operation['name']} by one {in_terms(operation['wanted'])}."
        case "place_protection":
            return _placed(operation)
        case _:
            return ""


def _placed(operation: Mapping[str, Any]) -> str:
    target = exact_or_none(operation.get("target_price"))
    pair = f" and a target at {plain(target)}, of which one ends the other" if target is not None else ""
    what = f"{operation['side']} {operation['qty']} {operation['symbol']}"
    if gone := replaced_by(operation):
        orders = "the order" if len(gone) == 1 else f"the {len(gone)} orders"
        is_paired = any(one["was"]["order_class"] not in _ALONE for one in gone)
        halves = ", with what is paired with it" if is_paired else ""
        return (
            f"It asks Alpaca to cancel {orders} to {'; '.join(one['name'] for one in gone)}{halves} "
            f"and, when that is proven, sends an order to {what}: "
            f"a stop at {operation['stop_price']}{pair}. For a moment nothing guards the position; if the pair is "
            "refused, the stop alone is placed again at once."
        )
    return f"It sends Alpaca an order to {what}: a stop at {operation['stop_price']}{pair}."
