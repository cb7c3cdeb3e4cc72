"""Book what the stream tells: states from its frames, fills from the list of activities.

A frame's execution has no activity id, so a fill is never booked from a frame: it would be counted again when the
list shows it. What the frame proves, how much of the order is filled and at what average, is written at once
(`told_states`); one request then brings all fills that are new, and the positions follow. Frames come doubled, in any
order, or not at all; what they tell is booked by the rules for any facts, so older news changes nothing. Whatever is
in doubt is looked at through the lists (`following.look`), which needs no stream.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from broker.errors import BrokerError
from broker.gateway import Gateway
from broker.models import Account
from broker.stream import Update
from broker.types import BrokerFill, BrokerOrder
from orders.booking import book_facts
from orders.following import Reading, book_states, look
from orders.lifecycle import IN_FLIGHT, is_terminal
from orders.models import Order
from orders.patience import until_written
from orders.told_states import book_told, with_legs

log = logging.getLogger(__name__)
ACTOR = "system:stream"

#: Alpaca's words for events. Another one is new to us: the order is booked as it came, and looked at.
KNOWN_EVENTS = frozenset({
    "new", "fill", "partial_fill", "canceled", "expired", "done_for_day", "replaced", "accepted", "rejected",
    "pending_new", "stopped", "pending_cancel", "pending_replace", "calculated", "suspended",
    "order_replace_rejected", "order_cancel_rejected", "restated", "held", "pending_review",
    "trade_bust", "trade_correct",
})  # fmt: skip
#: They say that fills were taken back or changed, or that the order is not what its frame makes one think.
_TAKEN_BACK = frozenset({"trade_bust", "trade_correct"})
_DOUBTFUL_EVENTS = _TAKEN_BACK | {"restated"}
_SINGLE = frozenset({"", "simple"})
#: The legs of a bracket are told of before the answer to its submit is booked.
KNOWN_WITHIN_SECONDS = 5.0
#: Fills are listed a moment after they are told. After these pauses they are left to the sweep.
_LOOK_AGAIN = (0.02, 0.2, 0.5, 1.0, 2.0, 4.0)
_HEARD_ORDERS = 5000


def newest(updates: Iterable[Update]) -> dict[str, BrokerOrder]:
    """Return the latest state of each order, in whatever order the frames came."""
    found: dict[str, BrokerOrder] = {}
    for update in updates:
        known = found.get(update.order.broker_order_id)
        if known is None or _rank(update.order) >= _rank(known):
            found[update.order.broker_order_id] = update.order
    return found


def _rank(facts: BrokerOrder) -> tuple[float, bool, Decimal]:
    moment = facts.updated_at.timestamp() if facts.updated_at else 0.0
    return moment, is_terminal(facts.status), facts.filled_qty


def is_doubtful(update: Update) -> bool:
    """True when the frame alone does not tell what became of the order."""
    if update.event not in KNOWN_EVENTS or update.event in _DOUBTFUL_EVENTS:
        return True
    # The event carries the old order; under which id it goes on should be in it.
    return update.event == "replaced" and not update.order.replaced_by


@dataclass(slots=True)
class _Later:
    """An order to look at again. `tries` counts the looks so far."""

    at: float
    tries: int = 0


@dataclass(slots=True)
class _Unknown:
    facts: BrokerOrder
    until: float


class Streaming:
    """Books one account's updates. For one thread; `open_gateway` is asked for a gateway when one is needed.

    `on_doubt` gets a sentence about what is no bookkeeping: an order that is not ours, an execution taken back.
    """

    def __init__(
        self,
        *,
        account: Account,
        open_gateway: Callable[[], Gateway],
        on_doubt: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._open_gateway = open_gateway
        self._on_doubt = on_doubt
        self._clock = clock
        self._later: dict[int, _Later] = {}
        self._unknown: dict[str, _Unknown] = {}
        self._told_events: set[str] = set()
        #: How much of each order was told to be filled, the newest 5,000 orders.
        self.told_qty: dict[str, Decimal] = {}

    @property
    def is_busy(self) -> bool:
        """True while something is to be looked at again soon."""
        return bool(self._later or self._unknown)

    def take(self, updates: Sequence[Update], now: datetime) -> None:
        """Book a burst of updates, with one look for the fills of each order."""
        for update in updates:
            self._note(update)
        self._write_told(updates, now)
        doubtful = {update.order.broker_order_id for update in updates if is_doubtful(update)}
        self.book(newest(updates), now)
        for order in self._ours(doubtful).values():
            self._look_later(order.pk)
        for update in updates:
            if update.event in _TAKEN_BACK:
                self._on_doubt(f"{update.order.symbol}: Alpaca took an execution back or corrected it")

    def book(self, states: dict[str, BrokerOrder], now: datetime) -> None:
        ours = self._find(states)
        for broker_order_id, facts in states.items():
            if broker_order_id in ours:
                self._unknown.pop(broker_order_id, None)
            else:
                self._unknown.setdefault(broker_order_id, _Unknown(facts, self._clock() + KNOWN_WITHIN_SECONDS))
                self._unknown[broker_order_id].facts = facts
        for i, order in ours.items():
            if not order.broker_order_id:
                ours[i] = self._link(order, states[i], now)
        # In the order of the frames: an exit is booked after its entry.
        fresh = {i: ours[i] for i in states if i in ours and _says_something(ours[i], states[i])}
        self._book(fresh, {i: with_legs(states[i], order) for i, order in fresh.items()}, now)
        for i, order in ours.items():
            self._look_at_next(order, states[i])

    def look_again(self, now: datetime) -> None:
        """Come back to what was not known or not listed yet."""
        waiting = {i: unknown.facts for i, unknown in self._unknown.items()}
        if waiting:
            known = self._find(waiting)
            self.book({i: facts for i, facts in waiting.items() if i in known}, now)
            for i, unknown in list(self._unknown.items()):
                if self._clock() > unknown.until:
                    del self._unknown[i]
                    self._tell_stranger(unknown.facts)
        due = [pk for pk, later in self._later.items() if self._clock() >= later.at]
        if due:
            orders = list(Order.objects.filter(pk__in=due[:100]))
            look(account=self._account, orders=orders, now=now)
            for order in Order.objects.filter(pk__in=[order.pk for order in orders]):
                self._settle_or_again(order)

    def book_fills(self, fills: Iterable[BrokerFill], now: datetime) -> None:
        """Book listed fills; those of orders that are not in the books are told of."""
        by_order: dict[str, list[BrokerFill]] = {}
        for fill in fills:
            by_order.setdefault(fill.broker_order_id, []).append(fill)
        ours = self._ours(by_order)
        for broker_order_id, listed in by_order.items():
            if order := ours.get(broker_order_id):
                self._book_listed(order.pk, listed, now)
            else:
                self._on_doubt(f"{listed[0].symbol}: {listed[0].side} filled, and the order is not in the books")

    # --- One step each ------------------------------------------------------------------------------------------

    def _note(self, update: Update) -> None:
        facts = update.order
        if update.event not in KNOWN_EVENTS and update.event not in self._told_events:
            self._told_events.add(update.event)
            log.warning("the stream told of an event that is new to us, %.40r: orders with it are read", update.event)
        told = self.told_qty.pop(facts.broker_order_id, Decimal(0))
        self.told_qty[facts.broker_order_id] = max(told, facts.filled_qty)
        if len(self.told_qty) > _HEARD_ORDERS:
            del self.told_qty[next(iter(self.told_qty))]

    def _write_told(self, updates: Iterable[Update], now: datetime) -> None:
        told = newest(update for update in updates if not is_doubtful(update)).values()
        until_written(partial(book_told, account_id=self._account.pk, told=told, now=now, actor=ACTOR))

    def _ours(self, broker_order_ids: Iterable[str]) -> dict[str, Order]:
        found = Order.objects.filter(account=self._account, broker_order_id__in=list(broker_order_ids))
        return {order.broker_order_id: order for order in found}

    def _find(self, states: dict[str, BrokerOrder]) -> dict[str, Order]:
        """Return our orders by Alpaca's ids; one that is just being sent is known by its own id only."""
        ours = self._ours(states)
        by_client_id = {facts.client_order_id: i for i, facts in states.items() if i not in ours}
        under_way = Order.objects.filter(
            account=self._account, broker_order_id="", submission_state__in=IN_FLIGHT,
            client_order_id__in=list(by_client_id),
        )  # fmt: skip
        return ours | {by_client_id[order.client_order_id]: order for order in under_way}

    def _link(self, order: Order, facts: BrokerOrder, now: datetime) -> Order:
        """The frame proves that Alpaca has it, whatever became of the answer to its submit."""
        if facts.order_class not in _SINGLE:
            try:  # a frame names no legs, and they are booked with their parent
                facts = self._open_gateway().get_order_by_client_id(facts.client_order_id)
            except BrokerError as error:
                log.warning("order %s could not be looked up: %s", order.client_order_id, error)
        return until_written(partial(book_facts, order_id=order.pk, facts=facts, now=now, actor=ACTOR))

    def _book(self, orders: dict[str, Order], states: dict[str, BrokerOrder], now: datetime) -> None:
        if not orders:
            return
        reading = Reading(self._open_gateway(), now)
        booked = {order.pk: order for order in book_states(reading, list(orders.values()), states, actor=ACTOR)}
        for order in orders.values():
            if order.pk not in booked:
                self._look_later(order.pk)
            else:
                self._settle_or_again(booked[order.pk])

    def _book_listed(self, order_id: int, fills: list[BrokerFill], now: datetime) -> None:
        book = partial(book_facts, order_id=order_id, facts=None, fills=fills, now=now, actor=ACTOR)
        order = until_written(book)
        if _booked_qty(order) != order.filled_qty:
            self._look_later(order_id)

    def _look_at_next(self, order: Order, facts: BrokerOrder) -> None:
        """An order goes on under a new id: what is in the books of it is read."""
        if facts.replaced_by:
            for successor in self._ours([facts.replaced_by]).values():
                self._look_later(successor.pk)

    def _look_later(self, order_id: int) -> None:
        self._later.setdefault(order_id, _Later(self._clock() + _LOOK_AGAIN[0]))

    def _settle_or_again(self, order: Order) -> None:
        """Fills that are told of but not listed yet are asked for again, a few times."""
        if order.is_booked or _booked_qty(order) == order.filled_qty:
            self._later.pop(order.pk, None)
            return
        later = self._later.setdefault(order.pk, _Later(0.0))
        if later.tries >= len(_LOOK_AGAIN):
            del self._later[order.pk]  # the sweep goes on asking
            log.warning("order %s %s: its fills are not listed yet", order.pk, order.client_order_id)
            return
        later.at = self._clock() + _LOOK_AGAIN[later.tries]
        later.tries += 1

    def _tell_stranger(self, facts: BrokerOrder) -> None:
        self._on_doubt(f"{facts.symbol}: {facts.side} {facts.status}, and the order is not in the books")


def _booked_qty(order: Order) -> Decimal:
    return sum(order.fills.values_list("qty", flat=True), Decimal(0))


def _says_something(order: Order, facts: BrokerOrder) -> bool:
    """False for older news, whose missing fills have been asked for already."""
    seen = order.broker_updated_at
    is_older = seen is not None and facts.updated_at is not None and facts.updated_at < seen
    return not is_older or facts.filled_qty > order.filled_qty
