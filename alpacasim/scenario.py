"""Scenario documents: a state of the venue written by hand, or dumped from a running one."""

import uuid
from decimal import Decimal
from typing import Any

from . import activities
from .accounts import INITIAL_CASH, Account
from .activities import Activity
from .entry import expiry
from .numbers import ZERO
from .orders import Order
from .positions import Position
from .simulator import Simulator
from .storage import load_asset, restore, venue_state, without_collector
from .times import Nanos, format_instant, new_york_date, parse_instant
from .venue import Venue


class ScenarioError(Exception):
    """A scenario that cannot be loaded; the message names the place."""


def load(simulator: Simulator, document: dict[str, Any]) -> None:
    """Adds what the document declares; an account it names replaces one of that key."""
    with without_collector():
        _load(simulator, document)
    simulator.resume()
    simulator.commit()


def _load(simulator: Simulator, document: dict[str, Any]) -> None:
    venue = simulator.venue
    for listed in document.get("assets") or []:
        venue.assets.add(load_asset(listed))
    for symbol, price in (document.get("prices") or {}).items():
        venue.prices.pin(symbol, Decimal(str(price)))
    clock = document.get("clock") or {}
    if clock.get("pinned"):
        venue.clock.pin(parse_instant(clock["pinned"]))
    elif clock.get("at"):
        venue.clock.move_to(parse_instant(clock["at"]))
    declared = document.get("accounts") or {}
    # All are read before the first takes its place: one that is wrong leaves everything as it was.
    for account in [_read_account(venue, key_id, fields) for key_id, fields in declared.items()]:
        venue.accounts[account.key_id] = account
        venue.erased.add(account.key_id)
        _mark_everything(account)


def _read_account(venue: Venue, key_id: str, declared: dict[str, Any]) -> Account:
    try:
        return _account(venue, key_id, declared)
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        raise ScenarioError(f"accounts.{key_id}: {error!r}") from error


def _account(venue: Venue, key_id: str, declared: dict[str, Any]) -> Account:
    if "saved" in declared:
        return _saved_account(declared)
    created_at = _instant(declared.get("created_at"), venue.clock.now())
    account = Account(key_id, created_at, cash=Decimal(str(declared.get("cash", INITIAL_CASH))))
    account.id = declared.get("id", account.id)
    account.account_number = declared.get("account_number", account.account_number)
    account.status = declared.get("status", account.status)
    account.trading_blocked = declared.get("trading_blocked", False)
    account.configurations |= declared.get("configurations") or {}
    for row in declared.get("positions") or []:
        account.positions[row["symbol"]] = Position.from_state(row)
        if row.get("current_price") is not None:
            venue.prices.pin(row["symbol"], Decimal(str(row["current_price"])))
    for row in sorted(declared.get("orders") or [], key=lambda o: parse_instant(o["submitted_at"])):
        _add_order(venue, account, row)
    for row in declared.get("activities") or []:
        _add_activity(account, row, created_at)
    _apply_fills(account)
    _settle_day(venue, account, declared)
    return account


def _instant(text: str | None, default: Nanos) -> Nanos:
    return parse_instant(text) if text else default


def _settle_day(venue: Venue, account: Account, declared: dict[str, Any]) -> None:
    today = new_york_date(venue.clock.now())
    account.day = today.isoformat()
    last = next(account.activities.select(types={activities.FILL}), None)
    if last is None or new_york_date(last.at) < today:
        for position in account.positions.values():
            position.overnight_qty = position.qty
    given = declared.get("last_equity")
    account.last_equity = Decimal(str(given)) if given is not None else venue.equity(account)


# Orders


def _add_order(venue: Venue, account: Account, row: dict[str, Any], parent: Order | None = None) -> Order:
    order = Order.from_state(_completed(venue, account, row, parent))
    legs = row.get("legs") or []
    if legs:
        order.group_id = order.group_id or str(uuid.uuid4())
        order.group_role = order.group_role or ("take_profit" if order.order_class == "oco" else "entry")
    account.add_order(order)
    for leg_row in legs:
        leg = _add_order(venue, account, {"order_class": order.order_class, **leg_row}, order)
        order.leg_ids.append(leg.id)
    if order.filled_qty and "fills" not in row:
        _add_fill(account, order, order.filled_qty, order.filled_avg_price or ZERO, order.filled_at or order.updated_at)
    filled = ZERO
    for fill in row.get("fills") or []:
        at = _instant(fill.get("transaction_time"), order.filled_at or order.updated_at)
        filled += Decimal(str(fill["qty"]))
        qty, price = Decimal(str(fill["qty"])), Decimal(str(fill["price"]))
        _add_fill(account, order, qty, price, at, cum_qty=filled, activity_id=fill.get("id"))
    return order


def _completed(venue: Venue, account: Account, row: dict[str, Any], parent: Order | None) -> dict[str, Any]:
    """A hand-written order with everything that follows from the rest filled in."""
    asset = venue.asset_of(row["symbol"] if parent is None else row.get("symbol", parent.symbol))
    side = row.get("side") or ("sell" if parent and parent.side == "buy" else "buy")
    submitted = row.get("submitted_at") or (format_instant(parent.submitted_at) if parent else "")
    kind = row.get("type", "market")
    status = row.get("status", "filled")
    document: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "client_order_id": str(uuid.uuid4()),
        "asset_id": asset.id,
        "asset_class": asset.asset_class,
        "symbol": asset.symbol,
        "side": side,
        "type": kind,
        "status": status,
        "time_in_force": parent.time_in_force if parent else "day",
        "created_at": submitted,
        "submitted_at": submitted,
        "updated_at": row.get("filled_at") or row.get("canceled_at") or submitted,
        "expires_at": format_instant(expiry(parse_instant(submitted), row.get("time_in_force", "day"))),
        "seq": account.take_seq(),
        "position_intent": f"{side}_to_{'close' if side == 'sell' else 'open'}",
        "triggered": kind in {"market", "limit"},
    }
    if status == "filled":
        document |= {"filled_qty": row.get("qty"), "filled_at": row.get("filled_at") or submitted}
    if parent is not None:
        role = "take_profit" if kind == "limit" else "stop_loss"
        document |= {"parent_id": parent.id, "group_id": parent.group_id, "group_role": role}
        document["qty"] = None if parent.qty is None else str(parent.qty)
    return document | {name: value for name, value in row.items() if value is not None}


# Activities


def _add_fill(
    account: Account, order: Order, qty: Decimal, price: Decimal, at: Nanos, *,
    cum_qty: Decimal | None = None, activity_id: str | None = None,
) -> None:  # fmt: skip
    cum_qty = order.filled_qty if cum_qty is None else cum_qty
    ordered = order.filled_qty if order.qty is None else order.qty
    body = activities.fill_body(
        order_id=order.id, symbol=order.symbol, side=order.side, qty=qty, price=price, cum_qty=cum_qty,
        leaves_qty=ordered - cum_qty, at=at, activity_id=activity_id,
    )  # fmt: skip
    account.activities.add(Activity(at, account.take_seq(), body))


def _add_activity(account: Account, row: dict[str, Any], default: Nanos) -> None:
    """An entry that is no execution of a declared order: a dividend, a fee, a transfer."""
    at = _instant(row.get("created_at") or row.get("transaction_time"), default)
    fields = {name: value for name, value in row.items() if name != "activity_type"}
    body = activities.entry_body(row["activity_type"], at, **fields)
    account.activities.add(Activity(at, account.take_seq(), body))
    account.cash += Decimal(str(row.get("net_amount", 0)))


def _apply_fills(account: Account) -> None:
    """The declared positions and cash are those before the orders; the fills lead to those after."""
    for activity in account.activities.select(types={activities.FILL}, ascending=True):
        body = activity.body
        signed = Decimal(body["qty"]) * (1 if body["side"] == "buy" else -1)
        position = account.positions.setdefault(body["symbol"], Position(body["symbol"]))
        position.apply(signed, Decimal(body["price"]))
        if position.qty == 0:
            del account.positions[body["symbol"]]
        account.add_cash(-signed * Decimal(body["price"]))


# Dumps


def dump(simulator: Simulator) -> dict[str, Any]:
    """The whole state as a document that `load` takes."""
    state = venue_state(simulator.venue)
    accounts = {key_id: _dump_account(account) for key_id, account in simulator.venue.accounts.items()}
    return {"clock": state["clock"], "prices": state["prices"], "assets": state["assets"], "accounts": accounts}


def _dump_account(account: Account) -> dict[str, Any]:
    return {
        "saved": account.to_state(),
        "positions": [position.to_state() for position in account.positions.values()],
        "orders": [order.to_state() for order in account.orders.values()],
        "activities": [activity.to_state() for activity in account.activities.select(ascending=True)],
    }


def _saved_account(declared: dict[str, Any]) -> Account:
    account = Account.from_state(declared["saved"])
    restore(account, "order", declared["orders"])
    restore(account, "position", declared["positions"])
    restore(account, "activity", declared["activities"])
    return account


def _mark_everything(account: Account) -> None:
    account.mark_self()
    for order in account.orders.values():
        account.mark(order)
    for position in account.positions.values():
        account.dirty["position", position.symbol] = position
    for activity in account.activities.select(ascending=True):
        account.dirty["activity", activity.id] = activity
