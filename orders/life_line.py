"""An order's life as one line of steps: what we did, what Alpaca says happened, and how long each took.

Two clocks write on it, ours and Alpaca's. They differ by little, and each step says whose time it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker.numbers import plain
from broker.times import moment
from orders.models import Fill, Order, OrderEvent
from ui.formatting import span

ALPACA = "Alpaca's time"
#: With more fills than this, those between the first and the last are told as one step.
FILLS_SHOWN = 20

#: Moments that Alpaca states, by the order in which they can happen.
_STATED = (
    ("submitted_at", "submitted", "Alpaca took it, or passed it on."),
    ("filled_at", "filled", "Alpaca says that it was filled."),
    ("canceled_at", "canceled", "Cancelled at Alpaca."),
    ("expired_at", "expired", "Its time was over."),
    ("failed_at", "failed", "Alpaca could not go on with it."),
)
#: Moments of our own, for orders whose steps are not on record.
_OURS = (
    ("claimed_at", "claimed", "A worker took it to send it."),
    ("unconfirmed_at", "unconfirmed", "No answer came that could be trusted."),
    ("confirmed_at", "confirmed", "We knew that Alpaca has it."),
)
_SEQUENCE = ("recorded", "imported", "claimed", "submitted", "unconfirmed", "looked_up", "confirmed", "fill", "filled")


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    kind: str
    text: str
    by: str
    after: str = ""  # how long after the step before


def life_line(order: Order, events: Iterable[OrderEvent], fills: Sequence[Fill]) -> list[Step]:
    told = [Step(event.at, event.kind, event.text, event.actor) for event in events]
    kinds = {step.kind for step in told}
    ours = [step for step in told if step.kind != "fill" or not fills]
    steps = [*ours, *_stated(order, kinds), *_fill_steps(fills)]
    steps.sort(key=lambda step: (step.at, _rank(step.kind)))
    return list(_with_durations(steps))


def _stated(order: Order, kinds: set[str]) -> Iterator[Step]:
    for name, kind, text in _STATED:
        at = getattr(order, name)
        if at is not None:
            yield Step(at, kind, text, ALPACA)
    replaced_at = _replaced_at(order.raw)
    if replaced_at is not None:
        yield Step(replaced_at, "replaced", "It goes on under a new id.", ALPACA)
    if not kinds & {"recorded", "imported"}:
        yield Step(order.recorded_at, "recorded", "Taken into our books.", "")
    for name, kind, text in _OURS:
        at = getattr(order, name)
        if at is not None and kind not in kinds and not (kind == "confirmed" and "imported" in kinds):
            yield Step(at, kind, text, "")


def _replaced_at(raw: Any) -> datetime | None:
    text = raw.get("replaced_at") if isinstance(raw, dict) else None
    try:
        return moment(text) if isinstance(text, str) and text else None
    except ValueError:
        return None


def _fill_steps(fills: Sequence[Fill]) -> Iterator[Step]:
    if len(fills) <= FILLS_SHOWN:
        yield from map(_fill_step, fills)
        return
    yield _fill_step(fills[0])
    between = fills[1:-1]
    yield Step(between[-1].transaction_time, "fill", f"{len(between)} fills between the first and the last.", ALPACA)
    yield _fill_step(fills[-1])


def _fill_step(fill: Fill) -> Step:
    booked = max((fill.recorded_at - fill.transaction_time).total_seconds(), 0.0)
    text = f"{plain(fill.qty)} at {plain(fill.price)}, in our books {_spell(booked)} later."
    return Step(fill.transaction_time, "fill", text, ALPACA)


def _with_durations(steps: Sequence[Step]) -> Iterator[Step]:
    before: datetime | None = None
    for step in steps:
        yield step if before is None else replace(step, after=f"+{_spell((step.at - before).total_seconds())}")
        before = step.at


def _spell(seconds: float) -> str:
    """Below ten seconds the parts of a second count."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)


def _rank(kind: str) -> int:
    return _SEQUENCE.index(kind) if kind in _SEQUENCE else len(_SEQUENCE)
