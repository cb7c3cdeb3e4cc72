"""What an order's two states mean. Pure: no database, no clock.

`submission_state` is what we know about our sending; `status` is Alpaca's word, kept as it came.
"""

from decimal import Decimal
from enum import StrEnum


class SubmissionState(StrEnum):
    RECORDED = "recorded"  # committed, not yet sent
    SUBMITTING = "submitting"  # claimed by one worker, the POST may be under way
    UNCONFIRMED = "unconfirmed"  # the outcome is unknown until a look-up settles it
    CONFIRMED = "confirmed"  # Alpaca has it, broker_order_id is known
    DENIED = "denied"  # refused by us before sending
    REJECTED = "rejected"  # refused by Alpaca
    NOT_PLACED = "not_placed"  # proven absent at Alpaca, and too old to send again by itself

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


#: Sent or perhaps sent, without a known outcome: nothing about the symbol may be judged meanwhile.
IN_FLIGHT = frozenset({SubmissionState.RECORDED, SubmissionState.SUBMITTING, SubmissionState.UNCONFIRMED})
#: The sending is over, one way or the other.
SETTLED = frozenset(set(SubmissionState) - IN_FLIGHT)

#: Alpaca's words after which the order with this id changes no more by itself. `replaced` goes on under a new id.
TERMINAL_STATUSES = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
#: Between states at Alpaca: what they will become is not known yet.
TRANSITIONAL_STATUSES = frozenset({"pending_new", "pending_cancel", "pending_replace", "accepted_for_bidding"})
KNOWN_STATUSES = TERMINAL_STATUSES | TRANSITIONAL_STATUSES | {
    "new", "partially_filled", "done_for_day", "accepted", "stopped", "suspended", "calculated", "held",
    "pending_review",
}  # fmt: skip


def is_terminal(status: str) -> bool:
    return status in TERMINAL_STATUSES


def is_working(submission_state: str, status: str) -> bool:
    """True while the order can still fill: in flight, or at Alpaca and not terminal."""
    if submission_state in IN_FLIGHT:
        return True
    return submission_state == SubmissionState.CONFIRMED and not is_terminal(status)


def leaves_qty(qty: Decimal | None, filled_qty: Decimal, status: str) -> Decimal | None:
    """What can still be filled; None for a notional order, whose quantity is known only at its end."""
    if is_terminal(status):
        return Decimal(0)
    return None if qty is None else max(qty - filled_qty, Decimal(0))
