"""What an order's two states, and refusals, mean in plain sentences. Pure."""

from decimal import Decimal
from typing import Protocol

from broker.numbers import plain
from orders.lifecycle import SubmissionState, is_terminal

SENDING: dict[str, str] = {
    SubmissionState.RECORDED: "It is in our books and has not left. It is sent when its batch is released.",
    SubmissionState.SUBMITTING: "One of our workers has it in hand: it is on its way to Alpaca at this moment.",
    SubmissionState.UNCONFIRMED: "It was sent, and no answer came that could be trusted. It may or may not be at "
    "Alpaca. It is looked up by its client_order_id and never sent again on suspicion.",
    SubmissionState.CONFIRMED: "Alpaca has it and gave it an id.",
    SubmissionState.DENIED: "We refused it before sending. Alpaca has never seen it.",
    SubmissionState.REJECTED: "It was sent, and Alpaca refused it. No order came of it.",
    SubmissionState.NOT_PLACED: "It was sent, and look-ups over a long enough while have proved that Alpaca does not "
    "have it. It was too old to be sent again by itself: that is for a person to decide.",
}

AT_ALPACA: dict[str, str] = {
    "new": "It works at an exchange and can fill.",
    "partially_filled": "A part of it is filled; the rest still works.",
    "filled": "All of it is filled. It changes no more, unless a trade is taken back.",
    "done_for_day": "It fills no more today. A good-till-cancelled order works again on the next trading day.",
    "canceled": "It was cancelled and fills no more. What was filled before stays.",
    "expired": "Its time is over and it fills no more. What was filled before stays.",
    "replaced": "It was changed: Alpaca goes on with a new order under another id, and this one is over.",
    "pending_cancel": "A cancel was asked for and is not certain yet. It can still fill.",
    "pending_replace": "A change was asked for and is not certain yet. It can still fill under the old terms.",
    "accepted": "Alpaca has it and has not passed it on to an exchange, mostly because the market is closed.",
    "pending_new": "Alpaca has it and is passing it on to an exchange.",
    "accepted_for_bidding": "It is with market makers, who bid for it.",
    "stopped": "A fill is promised at a price, and has not come yet.",
    "rejected": "Alpaca took it at first and then refused it. It fills no more.",
    "suspended": "It may not be traded for now.",
    "calculated": "It is filled or done for the day, and its settlement is being calculated.",
    "held": "It is a leg that waits: it begins to work when its entry is filled, or the other exit lets it.",
    "pending_review": "Alpaca looks at it before it passes it on.",
}
_UNKNOWN_STATUS = "Alpaca's word, which this program does not know. The order counts as one that can still fill."

#: Part of what Alpaca answers, and what it means for the person who reads it.
_REFUSALS = (
    ("insufficient buying power", "The account had too little buying power for it. Smaller, or after a sale, it may."),
    ("insufficient qty", "More was to be sold than is free: other open orders may hold the shares."),
    ("wash trade", "An order on the other side of the same symbol is open. Cancel that one first."),
    ("not fractionable", "This symbol is traded in whole shares only."),
    ("sub-penny", "From $1 on a price has whole cents; below, four decimal places."),
    ("stop price must be", "The market is past the stop price already."),
    ("not tradable", "Alpaca does not trade this symbol now."),
    ("short", "The account, or this symbol, cannot be sold short now."),
    ("must be unique", "An order of this id is there already: it is looked up, never sent twice."),
)


def legend() -> dict[str, list[tuple[str, str, str]]]:
    """Return word, label and sentence of every state, for a legend."""
    sending = [(state.value, state.label, SENDING[state]) for state in SubmissionState]
    return {"sending": sending, "at_alpaca": [(w, w.replace("_", " "), text) for w, text in AT_ALPACA.items()]}


def sending_sentence(state: str) -> str:
    return SENDING.get(state, "")


def status_sentence(status: str) -> str:
    return AT_ALPACA.get(status, _UNKNOWN_STATUS) if status else "Alpaca has not been heard about it."


def refusal_sentence(refusal: str) -> str:
    """Return what a refusal means, or nothing when its own words must do."""
    return next((meaning for words, meaning in _REFUSALS if words in refusal.lower()), "")


def refused_now(*, status: str, order_class: str, notional: Decimal | None) -> list[str]:
    """Return what Alpaca would refuse to do with the order as it stands."""
    if not status:
        return []
    word = status.replace("_", " ")
    if is_terminal(status):
        return [f"To cancel or change it: it is {word}."]
    found = []
    if status == "pending_replace":
        found.append("To cancel it before its change is decided.")
    if status in {"accepted", "pending_new", "pending_cancel", "pending_replace"}:
        found.append(f"To change it while it is {word}.")
    if notional is not None:
        found.append("To change it: an order in dollars can only be cancelled.")
    if order_class == "oto":
        found.append("To change it: the parts of an OTO can only be cancelled.")
    return found


class Sent(Protocol):
    """The part of an order that its outcome is told from."""

    submission_state: str
    status: str
    refusal: str
    qty: Decimal | None
    filled_qty: Decimal
    filled_avg_price: Decimal | None


_WITHOUT_ORDER = {
    SubmissionState.RECORDED: "waits",
    SubmissionState.SUBMITTING: "on its way",
    SubmissionState.UNCONFIRMED: "not known yet, it is being looked up",
    SubmissionState.DENIED: "not sent",
    SubmissionState.REJECTED: "refused by Alpaca",
    SubmissionState.NOT_PLACED: "not placed",
}


def outcome_of(order: Sent) -> str:
    """Return what became of the order, in a few words."""
    if order.submission_state != SubmissionState.CONFIRMED:
        words = _WITHOUT_ORDER.get(SubmissionState(order.submission_state), order.submission_state)
        return f"{words}: {order.refusal}" if order.refusal else words
    of = f" of {plain(order.qty)}" if order.qty is not None and order.qty != order.filled_qty else ""
    at = f" at {plain(order.filled_avg_price)}" if order.filled_avg_price is not None else ""
    part = f"{plain(order.filled_qty)}{of} filled{at}" if order.filled_qty else "nothing filled"
    if order.status == "filled":
        return part
    if order.status == "replaced":
        return f"went on under another id, {part} before"
    word = order.status.replace("_", " ")
    return f"{word}, {part}" if is_terminal(order.status) else f"works at Alpaca, {part}"
