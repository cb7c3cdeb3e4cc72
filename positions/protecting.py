"""Place, renew and cancel the exits of positions where the account's plan is `oco`. Found in the rows, done once.

Each step is one transaction that holds the account's row: it looks again, records the order or the cancel, and
journals it. Sending is the business of orders/placing.py and orders/change_sending.py, from those rows. The generation
stands in the order's client_order_id, so that no generation of a position is ever recorded twice.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, Q, QuerySet

from audit import journal
from broker.models import Account, ProtectionPlan
from broker.numbers import plain
from orders.changing import BEFORE, FLAT_ONLY, record_change, symbols_under_way
from orders.crash_points import reached
from orders.errors import OrdersError
from orders.identity import OWN_PREFIX
from orders.lifecycle import TERMINAL_STATUSES
from orders.models import Fill, Order, OrderChange
from orders.protecting import record_protection
from orders.unbooked import symbols_behind
from positions.models import Position
from positions.protection_plan import Decision, Exit, Step, next_step, whole_shares

log = logging.getLogger(__name__)
ACTOR = "system"
#: Fills come in a row: what is live is renewed, or cleared away, when none has come for so long.
QUIET = timedelta(seconds=3)
#: Exits that Alpaca still holds shares for, though our books hold none, are left alone for so long.
AGAIN_AFTER = timedelta(minutes=15)

_PREFIX = f"{OWN_PREFIX}p-position"
_OWN = re.compile(rf"{re.escape(_PREFIX)}(\d+)g(\d+)-")


def protect_positions(*, account: Account, now: datetime) -> int:
    """Take the next step of every position that has one due; return how many were taken."""
    done = 0
    for position, decision in decisions(account, now):
        if decision.step in {Step.PLACE, Step.CANCEL}:
            done += _step(account, position.pk, now)
    for order in orphans(account, now):
        done += _clear_away(account, order.pk, now)
    return done


def has_positions_to_protect(account: Account, now: datetime) -> bool:
    steps = {decision.step for _position, decision in decisions(account, now)}
    return bool(steps & {Step.PLACE, Step.CANCEL}) or bool(orphans(account, now))


def decisions(account: Account, now: datetime) -> list[tuple[Position, Decision]]:
    """Say of every open position what is next by the plan of the account; nothing while sending is halted."""
    if account.sending_halted or not account.is_active:
        return []
    return planned_steps(account, now)


def planned_steps(account: Account, now: datetime) -> list[tuple[Position, Decision]]:
    """The same, as if sending were not halted: by the plan alone."""
    if account.protection_plan != ProtectionPlan.OCO:
        return []
    return _decide(account, list(Position.objects.open().filter(account=account).order_by("symbol")), now)


def live_generations(account: Account) -> set[int]:
    """Return the ids of the positions that the plan placed exits for which are live, or on their way."""
    placed = Order.objects.working().filter(
        account=account, origin=Order.Origin.PROTECTION, client_order_id__startswith=_PREFIX
    )
    return {_origin(client_order_id)[0] for client_order_id in placed.values_list("client_order_id", flat=True)}


def troubles(account: Account, now: datetime) -> list[tuple[Position, str]]:
    """Return the positions that the plan cannot protect by itself, each with a sentence."""
    return [(position, text) for position, found in planned_steps(account, now) if (text := _trouble(position, found))]


def trouble_of(position: Position, now: datetime) -> str:
    """Say why the plan cannot protect this position by itself; empty if it can, or has nothing to do with it."""
    if position.account.protection_plan != ProtectionPlan.OCO or not position.is_open:
        return ""
    return _trouble(*_decide(position.account, [position], now)[0])


def _trouble(position: Position, decision: Decision) -> str:
    if decision.step == Step.BLOCKED:
        return f"The exits of {position.symbol} are not at Alpaca: {decision.reason.rstrip('.')}."
    if rest := abs(position.qty) - whole_shares(position.qty):
        return f"{plain(rest)} {position.symbol} has no exits at Alpaca, which takes whole shares only in an OCO."
    return ""


# --- One step -------------------------------------------------------------------------------------------------


def _step(account: Account, position_id: int, now: datetime) -> bool:
    """Look again while nobody else can take a step for the account, and take it."""
    try:
        with transaction.atomic():
            if not _take_turn(account, Q(protection_plan=ProtectionPlan.OCO, sending_halted=False)):
                return False
            position = Position.objects.open().filter(pk=position_id).first()
            decision = _decide(account, [position], now)[0][1] if position else None
            if position is None or decision is None:
                return False
            if decision.step == Step.PLACE:
                _place(account, position, decision, now)
            elif decision.step == Step.CANCEL and decision.order is not None:
                why = f"{decision.reason} than {position.symbol} needs now; another follows"
                _cancel(account, decision.order.order_id, position.pk, why, now)
            else:
                return False
            reached("before_exits_commit")
    except OrdersError as error:  # something else is under way: look again later
        log.info("position %s waits for its exits: %s", position_id, error)
        return False
    reached("after_exits_commit")
    return True


def _take_turn(account: Account, condition: Q) -> bool:
    """Hold the account's row until the commit. The write changes nothing; it makes a second one wait and look."""
    return bool(Account.objects.filter(condition, pk=account.pk, is_active=True).update(is_active=True))


def _place(account: Account, position: Position, decision: Decision, now: datetime) -> None:
    wish, generation = decision.wish, decision.generation
    assert wish is not None  # noqa: S101  # a step to place has one
    order = record_protection(
        account=account,
        symbol=position.symbol,
        side="sell" if position.side == "long" else "buy",
        qty=wish.qty,
        stop_price=wish.stop_loss,
        target_price=wish.target,
        wanted_for=f"position:{position.pk}:g{generation}",
        actor=ACTOR,
        now=now,
    )
    summary = (
        f"Recorded an OCO for {plain(wish.qty)} {position.symbol}, stop {plain(wish.stop_loss)}, "
        f"target {plain(wish.target)}: the plan of the account."
    )
    _journal(account, "protection.recorded", position.pk, summary, now, order=order.pk, generation=generation)


def _cancel(
    account: Account, order_id: int, position_id: int, why: str, now: datetime, *, wanted_for: str = "position:"
) -> None:
    order = Order.objects.get(pk=order_id)
    record_change(
        account=account,
        broker_order_id=order.broker_order_id,
        symbol=order.symbol,
        action=OrderChange.Action.CANCEL,
        wanted_for=f"{wanted_for}{position_id}",
        actor=ACTOR,
        now=now,
    )
    summary = f"Wants order {order.pk} in {order.symbol} cancelled: {why}."
    _journal(account, "protection.cancel_recorded", position_id, summary, now, order=order.pk)


def _journal(account: Account, action: str, position_id: int, summary: str, now: datetime, **after: object) -> None:
    journal.record(
        at=now,
        actor=ACTOR,
        action=action,
        account=account.slug,
        subject_type="position",
        subject_id=position_id,
        summary=summary,
        after=after,
    )
    log.info("position %s: %s", position_id, summary)


# --- Exits that have nothing left to guard --------------------------------------------------------------------


def orphans(account: Account, now: datetime) -> list[Order]:
    """Return the plan's own OCOs that are live though nothing is held in their direction any more: they could open
    a position. Whatever the plan is now, and although sending is halted, as cancelling only takes orders away."""
    if not account.is_active:
        return []
    live = Order.objects.not_terminal_at_broker().filter(
        account=account, origin=Order.Origin.PROTECTION, client_order_id__startswith=_PREFIX
    )
    orders = list(live.exclude(status="pending_cancel").defer("raw"))
    if not orders:
        return []
    symbols = {order.symbol for order in orders}
    held = set(Position.objects.open().filter(account=account, symbol__in=symbols).values_list("symbol", "side"))
    left = [order for order in orders if (order.symbol, "long" if order.side == "sell" else "short") not in held]
    moving = _moving(account, symbols, now) | symbols_behind(account, symbols, now)
    refused = _changes_by_us(left).filter(state=OrderChange.State.REFUSED, settled_at__gt=now - AGAIN_AFTER)
    lately = set(refused.values_list("order_id", flat=True))
    return [order for order in left if order.symbol not in moving and order.pk not in lately]


def _clear_away(account: Account, order_id: int, now: datetime) -> bool:
    try:
        with transaction.atomic():
            is_free = _take_turn(account, Q())
            order = next((order for order in orphans(account, now) if order.pk == order_id), None)
            if not is_free or order is None:
                return False
            position_id, _generation = _origin(order.client_order_id)
            why = "what it was to sell or buy back is closed"
            _cancel(account, order_id, position_id, why, now, wanted_for=FLAT_ONLY)
    except OrdersError as error:
        log.info("order %s cannot be cleared away now: %s", order_id, error)
        return False
    return True


# --- What the rows say ----------------------------------------------------------------------------------------


def _decide(account: Account, positions: list[Position], now: datetime) -> list[tuple[Position, Decision]]:
    if not positions:
        return []
    symbols = {position.symbol for position in positions}
    exits, moving = _exits(account, positions), _moving(account, symbols, now)
    behind = symbols_behind(account, symbols, now)  # after the exits, of which one may be booked as filled meanwhile
    return [
        (
            position,
            next_step(
                qty=position.qty, stop_loss=position.stop_loss, target=position.target, exits=exits[position.pk],
                is_moving=position.symbol in moving, is_behind=position.symbol in behind,
            ),
        )
        for position in positions
    ]  # fmt: skip


def _moving(account: Account, symbols: Collection[str], now: datetime) -> set[str]:
    """Symbols that filled a moment ago, or in which a cancel or replacement is under way."""
    if not symbols:
        return set()
    lately = Fill.objects.filter(account=account, symbol__in=symbols).order_by()
    last = lately.values("symbol").annotate(last=Max("recorded_at"))
    filled = {row["symbol"] for row in last if now - QUIET < row["last"] <= now + QUIET}
    return filled | (symbols_under_way(account) & set(symbols))


def _exits(account: Account, positions: Iterable[Position]) -> dict[int, list[Exit]]:
    """Return the exits of each position: those that can still fill, and every one that the plan placed for it."""
    by_symbol = {(row.symbol, "sell" if row.side == "long" else "buy"): row.pk for row in positions}
    working = ~Q(status__in=TERMINAL_STATUSES) & Q(submission_state__in=("submitting", "unconfirmed", "confirmed"))
    placed = Q(origin=Order.Origin.PROTECTION, client_order_id__startswith=_PREFIX)
    rows = Order.objects.filter(working | placed, account=account, symbol__in={symbol for symbol, _ in by_symbol})
    orders = list(rows.order_by("pk").defer("raw"))
    done = _changes_by_us(orders).exclude(state=OrderChange.State.REFUSED)
    cancelled = set(done.values_list("order_id", flat=True))
    found: dict[int, list[Exit]] = defaultdict(list)
    for order in orders:
        position_id = by_symbol.get((order.symbol, order.side))
        if position_id is not None:
            found[position_id].append(_exit(order, position_id, was_cancelled_by_us=order.pk in cancelled))
    return found


def _changes_by_us(orders: Iterable[Order]) -> QuerySet[OrderChange]:
    by_us = Q(requested_by=ACTOR) | Q(wanted_for__startswith=BEFORE)
    cancels = OrderChange.objects.filter(by_us, action=OrderChange.Action.CANCEL)
    return cancels.filter(order__in=[order.pk for order in orders])


def _exit(order: Order, position_id: int, *, was_cancelled_by_us: bool) -> Exit:
    owner, generation = _origin(order.client_order_id)
    return Exit(
        order_id=order.pk,
        broker_order_id=order.broker_order_id,
        submission_state=order.submission_state,
        status=order.status,
        qty=order.qty,
        leaves=order.leaves_qty,
        generation=generation if owner == position_id else 0,
        stop_loss=order.stop_loss_stop_price,
        target=order.take_profit_limit_price,
        refusal=order.refusal,
        filled_qty=order.filled_qty or Decimal(0),
        was_cancelled_by_us=was_cancelled_by_us,
    )


def _origin(client_order_id: str) -> tuple[int, int]:
    """Return the position and the generation that the plan placed an order for; zeros if it did not."""
    found = _OWN.match(client_order_id)
    return (int(found[1]), int(found[2])) if found else (0, 0)
