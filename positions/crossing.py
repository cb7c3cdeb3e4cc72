"""The price went through a stop or target, and no order at Alpaca is there to act on it: told once, until acknowledged.

A crossing is noticed where prices are noted. The row of a level stays: while it is not acknowledged nothing is told
again, however the price moves. Afterwards the same level is told again only when the price was seen on the good side
meanwhile and then beyond it anew; a level that moved is another level.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import DatabaseError, transaction

from audit import journal
from broker.models import Account
from broker.numbers import plain
from orders.models import Order
from positions.models import Crossing, Position
from ui.formatting import price as in_dollars

log = logging.getLogger(__name__)
ACTOR = "system"
Level = Crossing.Level

#: Called with account, crossings and time, inside the transaction in which they were recorded: whoever tells people
#: writes down there what is to be told, and delivers it later.
after_crossings: list[Callable[[Account, Sequence[Crossing], datetime], None]] = []

#: Alpaca's words for an order that acts when its price comes. Any other word promises nothing.
_ACTING = frozenset({"new", "accepted", "partially_filled", "pending_replace"})
_STOPS = frozenset({"stop", "stop_limit"})
_TICK = Decimal("0.01")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """An open position, the price that was known before, and the one that is known now."""

    position: Position
    before: Decimal | None
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Beyond:
    sighting: Sighting
    level: str
    level_price: Decimal
    is_new: bool  # the price was on the good side before

    @property
    def key(self) -> tuple[int, str, Decimal]:
        return self.sighting.position.pk, self.level, self.level_price


def is_beyond(position: Position, level: str, level_price: Decimal, price: Decimal) -> bool:
    """True when the price has reached the level: a long's stop from above, its target from below; a short mirrored."""
    falls = (position.side == "long") == (level == Level.STOP)
    return price <= level_price if falls else price >= level_price


def note_crossings(*, account: Account, sightings: Iterable[Sighting], now: datetime) -> list[Crossing]:
    """Record what has been crossed and is not told yet. Call it in the transaction that notes the prices."""
    beyond = [found for sighting in sightings for found in _beyond(sighting)]
    if not beyond:
        return []
    ids = {found.sighting.position.pk for found in beyond}
    known = {(row.position_id, row.level, row.level_price): row for row in Crossing.objects.filter(position__in=ids)}
    untold = [found for found in beyond if _is_untold(found, known.get(found.key))]
    if not untold:
        return []
    exits = _exits_at_alpaca(account, {found.sighting.position.symbol for found in untold})
    crossings = []
    with transaction.atomic():
        for found in untold:
            if not acts_on(found.sighting.position, found.level, exits[found.sighting.position.symbol]):
                crossing = _record(account, found, now)
                if crossing is not None:
                    crossings.append(crossing)
        if crossings:
            _tell(account, crossings, now)
    return crossings


def _beyond(sighting: Sighting) -> Iterable[_Beyond]:
    row = sighting.position
    for level, level_price in ((Level.STOP, row.stop_loss), (Level.TARGET, row.target)):
        if level_price is not None and is_beyond(row, level, level_price, sighting.price):
            was_good = sighting.before is not None and not is_beyond(row, level, level_price, sighting.before)
            yield _Beyond(sighting, level, level_price, is_new=was_good)


def _is_untold(found: _Beyond, crossing: Crossing | None) -> bool:
    return crossing is None or (crossing.acknowledged_at is not None and found.is_new)


def _record(account: Account, found: _Beyond, now: datetime) -> Crossing | None:
    """Make the row of this level, or open it again; None if another process was quicker."""
    seen = {"price": found.sighting.price, "crossed_at": now}
    crossing, is_new = Crossing.objects.get_or_create(
        position=found.sighting.position,
        level=found.level,
        level_price=found.level_price,
        defaults={"account": account, **seen},
    )
    if is_new:
        return crossing
    acknowledged = Crossing.objects.filter(pk=crossing.pk, acknowledged_at__isnull=False)
    if not acknowledged.update(**seen, acknowledged_at=None, acknowledged_by=""):
        return None
    crossing.refresh_from_db()
    return crossing


def _tell(account: Account, crossings: Sequence[Crossing], now: datetime) -> None:
    for crossing in crossings:
        position = crossing.position
        text = in_words(crossing)
        log.warning("position %s %s, crossing %s: %s", position.pk, position.symbol, crossing.pk, text)
        journal.record(
            at=now,
            actor=ACTOR,
            action="crossing.noticed",
            account=account.slug,
            subject_type="position",
            subject_id=position.pk,
            summary=text,
            after={
                "level": crossing.level, "level_price": plain(crossing.level_price), "price": plain(crossing.price)
            },
        )  # fmt: skip
    for tell in after_crossings:
        try:
            with transaction.atomic():
                tell(account, crossings, now)
        except DatabaseError:
            raise
        except Exception:  # what was seen stays recorded, and is shown
            log.exception("crossings of %s could not be told on", account.slug)


def in_words(crossing: Crossing) -> str:
    position = crossing.position
    act = "sells" if position.side == "long" else "buys back"
    level = crossing.get_level_display().lower()
    return (
        f"{position.symbol} went through its {level} of {in_dollars(crossing.level_price)}: "
        f"{in_dollars(crossing.price)} was seen, and no order at Alpaca {act} all of it there."
    )


# --- Who would act --------------------------------------------------------------------------------------------


def _exits_at_alpaca(account: Account, symbols: set[str]) -> Mapping[str, list[Order]]:
    found: dict[str, list[Order]] = defaultdict(list)
    working = Order.objects.not_terminal_at_broker().filter(account=account, symbol__in=symbols)
    for order in working.order_by().defer("raw"):
        found[order.symbol].append(order)
    return found


def acts_on(position: Position, level: str, orders: Iterable[Order]) -> bool:
    """True when orders in our books that are live at Alpaca exit the whole position at this level or before it.

    A stop that is held beside a live take-profit acts; one that waits for its entry does not. A trailing stop is
    somewhere else than the plan, so it proves nothing.
    """
    exit_side = "sell" if position.side == "long" else "buy"
    exits = [order for order in orders if order.side == exit_side]
    limits = [order for order in exits if order.order_type == "limit" and order.status in _ACTING]
    if level == Level.TARGET:
        acting = [order for order in limits if _is_reached(position, level, order.limit_price)]
    else:
        acting = [
            order
            for order in exits
            if order.order_type in _STOPS
            and (order.status in _ACTING or (order.status == "held" and limits))
            and _is_reached(position, level, order.stop_price)
        ]
    leaves: Decimal = sum((order.leaves_qty or _ZERO for order in acting), _ZERO)
    held: Decimal = abs(position.qty)
    return leaves >= held


def _is_reached(position: Position, level: str, order_price: Decimal | None) -> bool:
    """True when a price that has come to the planned level has come to the order's price, too; to a tick."""
    planned: Decimal | None = position.stop_loss if level == Level.STOP else position.target
    if order_price is None or planned is None:
        return False
    falls = (position.side == "long") == (level == Level.STOP)
    return order_price >= planned - _TICK if falls else order_price <= planned + _TICK


# --- Acknowledging --------------------------------------------------------------------------------------------


def open_crossings(account: Account) -> list[Crossing]:
    """Return those of open positions that nobody has acknowledged, the newest first."""
    mine = Crossing.objects.filter(account=account, acknowledged_at__isnull=True, position__state="open")
    return list(mine.select_related("position"))


def told_of(position: Position) -> list[tuple[Crossing, str]]:
    """Return those of one open position that nobody has acknowledged, each in words."""
    if not position.is_open:
        return []
    rows = Crossing.objects.filter(position=position, acknowledged_at__isnull=True).select_related("position")
    return [(row, in_words(row)) for row in rows]


def acknowledge_crossing(*, crossing: Crossing, actor: str, now: datetime) -> bool:
    """Note that a person has seen it; False if somebody had before. Nothing else changes: no order is sent."""
    with transaction.atomic():
        mine = Crossing.objects.filter(pk=crossing.pk, acknowledged_at__isnull=True)
        if not mine.update(acknowledged_at=now, acknowledged_by=actor[:150]):
            return False
        position = crossing.position
        level = crossing.get_level_display().lower()
        journal.record(
            at=now,
            actor=actor,
            action="crossing.acknowledged",
            account=crossing.account.slug,
            subject_type="position",
            subject_id=position.pk,
            summary=f"Acknowledged that {position.symbol} went through its {level} of "
            f"{in_dollars(crossing.level_price)}.",
        )
    return True
