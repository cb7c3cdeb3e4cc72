"""Taking orders: from a checked request to an order with its legs, and replacing one."""

import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from . import checks, groups, sessions
from .accounts import Account
from .assets import Asset
from .errors import insufficient_qty, unprocessable
from .execution import Execution
from .matching import trail
from .numbers import ZERO, plain
from .orders import Order
from .requests import OrderRequest, check_tick, parse_client_order_id, parse_positive
from .times import DAY, Nanos, format_instant
from .venue import Venue

_GOOD_TILL_CANCELED = 90 * DAY
_TRIGGERED_AT_ONCE = {"market", "limit"}


def submit(venue: Venue, execution: Execution, account: Account, request: OrderRequest) -> Order:
    asset = checks.check_asset(request, venue.assets.find(request.symbol))
    checks.check_terms(request, asset)
    checks.check_identity(account, request.client_order_id)
    checks.check_account(account)
    price = venue.price(asset.symbol)
    intent = checks.intent_of(account, request, asset.symbol)
    checks.check_wash_trade(account, request, asset.symbol)
    checks.check_holdings(account, request, asset, intent, price)
    checks.check_stop(request, price)
    order = _build(venue, account, request, asset, intent)
    if intent.endswith("_open"):
        checks.check_buying_power(venue.cost_of(order), venue.buying_power(account), asset)
    _add(venue, execution, account, order, _legs_of(account, request, order))
    return order


def _build(venue: Venue, account: Account, request: OrderRequest, asset: Asset, intent: str) -> Order:
    now = venue.clock.now()
    order = Order(
        symbol=asset.symbol,
        asset_id=asset.id,
        asset_class=asset.asset_class,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        created_at=now,
        updated_at=now,
        submitted_at=now,
        expires_at=expiry(now, request.time_in_force),
        seq=account.take_seq(),
        client_order_id=request.client_order_id or str(uuid.uuid4()),
        order_class=request.order_class,
        qty=request.qty,
        notional=request.notional,
        limit_price=request.limit_price,
        stop_price=request.stop_price,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        extended_hours=request.extended_hours,
        position_intent=intent,
        subtag=request.subtag,
        triggered=request.type in _TRIGGERED_AT_ONCE,
    )
    trail(order, venue.price(asset.symbol))
    if not venue.is_open_for(order):
        # Not routed yet: it waits for the session.
        order.status = "accepted"
    return order


def expiry(now: Nanos, time_in_force: str) -> Nanos:
    return now + _GOOD_TILL_CANCELED if time_in_force == "gtc" else sessions.next_close(now)


def _legs_of(account: Account, request: OrderRequest, parent: Order) -> list[Order]:
    if not request.order_class:
        return []
    parent.group_id = str(uuid.uuid4())
    parent.group_role = groups.TAKE_PROFIT if request.order_class == "oco" else groups.ENTRY
    legs = []
    if request.take_profit_limit is not None and request.order_class != "oco":
        legs.append(_leg(account, parent, groups.TAKE_PROFIT, "limit", request.take_profit_limit, None))
    if request.stop_loss_stop is not None:
        kind = "stop" if request.stop_loss_limit is None else "stop_limit"
        leg = _leg(account, parent, groups.STOP_LOSS, kind, request.stop_loss_limit, request.stop_loss_stop)
        legs.append(leg)
    parent.leg_ids = [leg.id for leg in legs]
    return legs


def _leg(account: Account, parent: Order, role: str, kind: str, limit: Decimal | None, stop: Decimal | None) -> Order:
    exits = parent.group_role == groups.ENTRY
    side = {"buy": "sell", "sell": "buy"}[parent.side] if exits else parent.side
    return replace(
        parent,
        id=str(uuid.uuid4()),
        client_order_id=str(uuid.uuid4()),
        seq=account.take_seq(),
        side=side,
        type=kind,
        status="held",
        limit_price=limit,
        stop_price=stop,
        position_intent=f"{side}_to_close",
        subtag=None,
        group_role=role,
        parent_id=parent.id,
        leg_ids=[],
        triggered=kind in _TRIGGERED_AT_ONCE,
    )


def _add(venue: Venue, execution: Execution, account: Account, order: Order, legs: list[Order]) -> None:
    for each in (order, *legs):
        account.add_order(each)
    venue.emit(account, order.status, order, timestamp=format_instant(order.created_at))
    execution.resume(account, order)


# Replacing


def replace_order(
    venue: Venue, execution: Execution, account: Account, old: Order, body: dict[str, Any], *, doomed: bool = False
) -> Order:
    """The old order ends as `replaced`; a new one with an id of its own takes its place and its legs.

    A doomed replacement is answered like any other and rejected a moment later; the old order lives on.
    """
    _check_replaceable(old)
    client_order_id = parse_client_order_id(body.get("client_order_id"))
    changes = _changes(old, body)
    if not changes and client_order_id is None:
        raise unprocessable("order parameters are not changed")
    checks.check_identity(account, client_order_id)
    now = venue.clock.now()
    new = replace(
        old,
        **changes,
        id=str(uuid.uuid4()),
        client_order_id=client_order_id or str(uuid.uuid4()),
        seq=account.take_seq(),
        updated_at=now,
        submitted_at=now,
        filled_qty=ZERO,
        filled_avg_price=None,
        filled_at=None,
        replaces=old.id,
        status="held" if old.status == "held" else "new",
        leg_ids=list(old.leg_ids),
    )
    if "time_in_force" in changes:
        new.expires_at = expiry(now, new.time_in_force)
    _check_fraction(new)
    if new.qty is not None:
        # Each link of the chain counts its own executions, so the new one has only the rest to do.
        new.qty -= old.filled_qty
    _check_cost(venue, account, old, new)
    if doomed:
        _reject_later(venue, execution, account, old, new)
    else:
        _hand_over(venue, account, old, new)
        execution.resume(account, new)
    return new


def _check_replaceable(order: Order) -> None:
    if order.status == "replaced":
        raise unprocessable("order already replaced")
    if order.is_terminal:
        raise unprocessable("unable to replace order, order is not open")
    if order.status not in {"new", "partially_filled", "held"}:
        raise unprocessable(f"cannot replace order in {order.status} status")
    if order.notional is not None:
        raise unprocessable("notional orders cannot be replaced")
    if order.order_class == "oto":
        raise unprocessable("order replacement is not supported for oto orders")


def _changes(old: Order, body: dict[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        name: parse_positive(name, body.get(name)) for name in ("qty", "limit_price", "stop_price")
    }
    for name in ("limit_price", "stop_price"):
        check_tick(name, wanted[name])
        if wanted[name] is not None and getattr(old, name) is None:
            raise unprocessable(f"{old.type} orders have no {name}")
    if trail_value := parse_positive("trail", body.get("trail")):
        if old.type != "trailing_stop":
            raise unprocessable("trail is only valid for trailing stop orders")
        wanted["trail_price" if old.trail_price is not None else "trail_percent"] = trail_value
    if body.get("time_in_force"):
        if body["time_in_force"] not in {"day", "gtc", "ioc", "fok"}:
            raise unprocessable("invalid time_in_force")
        wanted["time_in_force"] = body["time_in_force"]
    if wanted["qty"] is not None and wanted["qty"] <= old.filled_qty:
        raise unprocessable("qty must be > filled_qty")
    return {name: value for name, value in wanted.items() if value is not None and value != getattr(old, name)}


def _check_fraction(new: Order) -> None:
    if new.qty is None or new.qty == new.qty.to_integral_value() or "/" in new.symbol:
        return
    if new.time_in_force != "day":
        raise unprocessable("fractional orders must be DAY orders")
    if new.type == "trailing_stop":
        raise unprocessable("fractional orders must be market, limit, stop or stop limit orders")


def _check_cost(venue: Venue, account: Account, old: Order, new: Order) -> None:
    asset = venue.asset_of(new.symbol)
    if new.position_intent.endswith("_open"):
        free = venue.buying_power(account) + venue.cost_of(old)
        checks.check_buying_power(venue.cost_of(new), free, asset)
        return
    position = venue.position(account, new.symbol)
    existing, wanted = abs(position.qty), new.qty or ZERO
    others = account.held_for_orders(new.symbol) - (old.leaves_qty(Decimal(1)) if old.is_open else ZERO)
    if old.is_open and wanted > existing - others:
        raise insufficient_qty(new.symbol, plain(wanted), plain(existing - others), plain(existing), plain(others))


def _reject_later(venue: Venue, execution: Execution, account: Account, old: Order, new: Order) -> None:
    new.leg_ids, new.group_id, new.group_role = [], None, None
    account.add_order(new)

    def reject() -> None:
        execution.end(account, new, "rejected")
        venue.emit(account, "order_replace_rejected", old, timestamp=format_instant(venue.clock.now()))

    venue.scheduler.after(venue.half_delay, reject)


def _hand_over(venue: Venue, account: Account, old: Order, new: Order) -> None:
    # The old order is marked a moment after the new one was submitted, as recorded.
    now = venue.clock.now()
    old.replaced_at, old.replaced_by = now, new.id
    account.set_status(old, "replaced", now)
    account.add_order(new)
    for leg in account.legs(new):
        leg.parent_id = new.id
        account.mark(leg)
    if old.parent_id:
        parent = account.orders[old.parent_id]
        parent.leg_ids = [new.id if leg_id == old.id else leg_id for leg_id in parent.leg_ids]
        account.mark(parent)
    venue.emit(account, "replaced", old, timestamp=format_instant(now))
    if new.status == "new":
        venue.emit(account, "new", new, timestamp=format_instant(now))
