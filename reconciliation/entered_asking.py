"""Which difference needs a number that only a person knows, and which one."""

from dataclasses import dataclass
from decimal import Decimal

from reconciliation.kinds import Kind
from reconciliation.models import Drift, Fix

_WAITING = frozenset({Fix.State.APPROVED, Fix.State.APPLIED})


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, in words for people."""

    name: str
    why: str


EXIT_PRICE = Asked("Exit price", "No fill says at what price the shares were left. Alpaca's statement does.")
COST_BASIS = Asked("Cost basis", "Alpaca's entry does not say what the shares cost. Whoever sent them does.")


def asks_for(drift: Drift) -> Asked | None:
    """Return what a person may enter for the difference; None where evidence gives it, or it is being repaired."""
    fix = drift.fix
    if drift.state != Drift.State.OPEN or drift.cause_id is not None or (fix is not None and fix.state in _WAITING):
        return None
    if drift.kind == Kind.CLOSED_WITHOUT_EXIT:
        return EXIT_PRICE if fix is None or fix.action == "enter_exit_price" else None
    if fix is None:
        return None
    if drift.kind == Kind.TRANSFER:
        return COST_BASIS if any(operation.get("is_estimated") for operation in fix.plan) else None
    return EXIT_PRICE if fix.action == "adjust_position" and _loses_shares(drift, fix) else None


def _loses_shares(drift: Drift, fix: Fix) -> bool:
    """Shares that are gone at Alpaca, and no entry says that they went without a trade."""
    held, there = (Decimal(side.get("qty") or "0") for side in (drift.local, drift.broker))
    is_less = held * there < 0 or abs(there) < abs(held)
    return is_less and any(operation.get("kind") == "correction" for operation in fix.plan)
