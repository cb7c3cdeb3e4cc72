"""The plan `oco`: which step is next for one position, so that its stop and target are live at Alpaca. Pure.

A generation is one OCO of one position. More fills get a generation of their own beside those that are live, so that
no share loses its exits while another gets them. What is at other levels, or for more shares than are held, is
cancelled by us and followed by another. A generation that ended otherwise without filling (refused, cancelled by
somebody else, expired) is not tried again for the same wish: a person is told; a new wish is a new attempt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from orders.lifecycle import IN_FLIGHT, SubmissionState, is_terminal
from positions.risk import tick_of

#: More OCOs than these for one position are merged into fewer.
MOST_LIVE = 4
_WHY_ANEW = "it is for another quantity or at other levels"
_ZERO = Decimal(0)


class Step(StrEnum):
    NOTHING = "nothing"  # as it should be, or somebody else's exits have the shares
    WAIT = "wait"  # something is on its way: look again
    PLACE = "place"
    CANCEL = "cancel"  # to be placed anew
    BLOCKED = "blocked"  # a person has to look


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be placed: whole shares, at the levels of the position."""

    qty: Decimal
    stop_loss: Decimal
    target: Decimal

    def is_like(self, other: "Exit") -> bool:
        """True if that order was for the same, less what it filled; to a tick, as levels are rounded."""
        return other.qty is not None and other.qty - other.filled_qty == self.qty and self.has_levels_of(other)

    def has_levels_of(self, other: "Exit") -> bool:
        return _are_close(self.stop_loss, other.stop_loss) and _are_close(self.target, other.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """An order on the exit side of a position. `generation` is 0 for any that the plan did not place."""

    order_id: int
    broker_order_id: str
    submission_state: str
    status: str
    qty: Decimal | None
    leaves: Decimal | None  # None: nobody knows how much it takes
    generation: int = 0
    stop_loss: Decimal | None = None
    target: Decimal | None = None
    refusal: str = ""
    filled_qty: Decimal = _ZERO
    was_cancelled_by_us: bool = False

    @property
    def is_live(self) -> bool:
        return self.submission_state == SubmissionState.CONFIRMED and not is_terminal(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    step: Step
    wish: Wish | None = None
    generation: int = 0
    order: Exit | None = None  # to be cancelled
    reason: str = ""


def whole_shares(qty: Decimal) -> Decimal:
    """Alpaca takes no parts of shares in an OCO."""
    return abs(qty).to_integral_value(rounding=ROUND_DOWN)


def next_step(
    *,
    qty: Decimal,
    stop_loss: Decimal | None,
    target: Decimal | None,
    exits: Sequence[Exit],
    is_moving: bool,
    is_behind: bool = False,
) -> Decision:
    """Decide for one open position of `qty` shares. `is_moving`: it filled a moment ago, or a change is under way.

    `is_behind`: Alpaca filled more in the symbol than the ledger has, so `qty` is not what is held.
    """
    if is_behind:
        return Decision(step=Step.WAIT, reason="a fill is not in the books yet")
    own = sorted((order for order in exits if order.generation), key=lambda order: order.generation)
    if any(order.submission_state in IN_FLIGHT for order in own):
        return Decision(step=Step.WAIT, reason="its exits are on their way to Alpaca")
    live = [order for order in own if order.is_live]
    taken, is_known = _taken(order for order in exits if order not in live)
    wanted = whole_shares(max(abs(qty) - taken, _ZERO))
    missing = wanted - sum((order.leaves or _ZERO for order in live), _ZERO)
    if not is_known:
        missing = min(missing, _ZERO)  # nothing is placed beside it, and nothing is taken away for a guess
    if stop_loss is None or target is None:
        step = Step.BLOCKED if missing > 0 else Step.NOTHING
        return Decision(step=step, reason="it has no stop and target to place")
    wish = Wish(qty=missing, stop_loss=stop_loss, target=target)
    surplus = _surplus(live, wish)
    if missing <= 0 and surplus is None:
        return Decision(step=Step.NOTHING, wish=replace(wish, qty=wanted))
    if (own and is_moving) or any(order.status == "pending_cancel" for order in live):
        return Decision(step=Step.WAIT, wish=wish, reason="it moved a moment ago")
    if surplus is not None:
        return Decision(step=Step.CANCEL, wish=replace(wish, qty=wanted), order=surplus, reason=_WHY_ANEW)
    given_up = next((order for order in own if not order.is_live and wish.is_like(order) and _end_of(order)), None)
    if given_up is not None:
        return Decision(step=Step.BLOCKED, wish=wish, order=given_up, reason=_end_of(given_up))
    return Decision(step=Step.PLACE, wish=wish, generation=own[-1].generation + 1 if own else 1)


def _surplus(live: Sequence[Exit], wish: Wish) -> Exit | None:
    """Return what has to go: at other levels, for more shares than there are, or one of too many small ones."""
    for order in live:
        if not wish.has_levels_of(order):
            return order
    is_too_much = wish.qty < 0 or (wish.qty > 0 and len(live) >= MOST_LIVE)
    return live[-1] if live and is_too_much else None


def _taken(exits: Iterable[Exit]) -> tuple[Decimal, bool]:
    """Shares that other exits hold at Alpaca, and whether those are all. A held leg holds none beside its take-profit.

    Of an order in dollars nobody knows how many shares it takes.
    """
    taken, is_known = _ZERO, True
    for order in exits:
        is_sent = order.submission_state in {SubmissionState.SUBMITTING, SubmissionState.UNCONFIRMED}
        if (is_sent or order.is_live) and order.status != "held":
            taken += order.leaves or _ZERO
            is_known = is_known and order.leaves is not None
    return taken, is_known


def _end_of(own: Exit) -> str:
    """Say why the last generation is no more, if that was neither its fill nor our own cancelling."""
    if own.submission_state in {SubmissionState.REJECTED, SubmissionState.DENIED, SubmissionState.NOT_PLACED}:
        word = {"rejected": "refused by Alpaca", "denied": "not sent"}.get(own.submission_state, "not placed")
        return f"they were {word}: {own.refusal}" if own.refusal else f"they were {word}"
    if own.was_cancelled_by_us or own.status == "filled":
        return ""
    by = "rejected by Alpaca" if own.status == "rejected" else f"{own.status} at Alpaca, not by this program"
    return f"they were {by}"


def _are_close(one: Decimal, other: Decimal | None) -> bool:
    return other is not None and abs(one - other) <= tick_of(one)
