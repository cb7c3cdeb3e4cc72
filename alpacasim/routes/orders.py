"""/v2/orders: create, list, look up, replace, cancel."""

from itertools import islice
from typing import Any

from starlette.routing import Route

from .. import entry
from ..call import Answer, Call, route
from ..errors import VenueError, malformed, not_found, unprocessable
from ..index import Key
from ..orders import Order
from ..requests import parse_flag, parse_order
from ..times import Nanos, parse_instant

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 500
# Greater and smaller than every arrival number, to step over all orders of one instant.
_LAST, _FIRST = 2**62, -1


def create(call: Call) -> Any:
    order = entry.submit(call.venue, call.simulator.execution, call.account, parse_order(call.body()))
    return present(call, order, nested=True)


def present(call: Call, order: Order, *, nested: bool) -> dict[str, Any]:
    return order.to_json(call.account.legs(order) if nested else None)


def find(call: Call) -> Order:
    order = call.account.orders.get(call.path["order_id"].lower())
    if order is None:
        raise not_found(f"order not found for {call.path['order_id']}")
    return order


def get(call: Call) -> Any:
    return present(call, find(call), nested=parse_flag("nested", call.query.get("nested")))


def get_by_client_order_id(call: Call) -> Any:
    client_order_id = call.query.get("client_order_id", "")
    order = call.account.find_by_client_order_id(client_order_id)
    if order is None:
        raise not_found(f"order not found for {client_order_id}")
    return present(call, order, nested=True)


def list_orders(call: Call) -> Any:
    status = call.choice("status", ("open", "closed", "all"))
    ascending = call.choice("direction", ("desc", "asc")) == "asc"
    nested = parse_flag("nested", call.query.get("nested"))
    limit = call.whole("limit", DEFAULT_LIMIT)
    if limit < 1:
        raise malformed("limit must be > 0")
    after, before = _cursors(call)
    symbols = _names(call, "symbols")
    rows = call.account.walk_orders(
        status=status,
        symbols=None if symbols is None else [_symbol(call, name) for name in symbols],
        after=after,
        before=before,
        ascending=ascending,
    )
    side, classes = call.query.get("side"), _names(call, "asset_class")
    chosen = (
        order
        for order in rows
        if (not side or order.side == side)
        and (classes is None or "all" in classes or order.asset_class in classes)
        and not (nested and order.parent_id)
    )
    return [present(call, order, nested=nested) for order in islice(chosen, min(limit, LARGEST_LIMIT))]


def _cursors(call: Call) -> tuple[Key | None, Key | None]:
    """The exclusive bounds: times step over every order of that instant, ids over that order alone."""
    after, until = _instant(call, "after"), _instant(call, "until")
    after_id, before_id = call.query.get("after_order_id"), call.query.get("before_order_id")
    if after_id and before_id:
        raise malformed("only one of before_order_id and after_order_id is accepted")
    if (after_id or before_id) and (after is not None or until is not None):
        raise malformed("before_order_id and after_order_id cannot be combined with after and until")
    if after_id or before_id:
        order = call.account.orders.get((after_id or before_id or "").lower())
        if order is None:
            raise unprocessable(f"order not found for {after_id or before_id}")
        return (order.sort_key, None) if after_id else (None, order.sort_key)
    return (None if after is None else (after, _LAST)), (None if until is None else (until, _FIRST))


def _instant(call: Call, name: str) -> Nanos | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise malformed(f"invalid value for {name}: {text!r}") from None


def _names(call: Call, name: str) -> list[str] | None:
    text = call.query.get(name)
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip())) if text else None


def _symbol(call: Call, name: str) -> str:
    asset = call.venue.assets.find(name)
    return asset.symbol if asset else name


def replace(call: Call) -> Any:
    old = find(call)
    doomed = "reject_replacement" in call.faults
    order = entry.replace_order(call.venue, call.simulator.execution, call.account, old, call.body(), doomed=doomed)
    return present(call, order, nested=True)


def cancel(call: Call) -> Any:
    order = find(call)
    check_cancelable(order)
    call.simulator.execution.cancel(call.account, order)
    return Answer(204)


def check_cancelable(order: Order) -> None:
    if order.is_terminal:
        raise unprocessable(f'order is already in "{order.status}" state')
    if order.status in {"pending_cancel", "pending_replace"}:
        raise unprocessable(f"order is in {order.status} status and cannot be canceled")


def cancel_all(call: Call) -> Any:
    return Answer(207, cancel_every(call))


def cancel_every(call: Call) -> list[dict[str, Any]]:
    """Asks for the end of every open order; a leg goes with its parent."""
    rows = []
    for order in sorted(call.account.live.values(), key=lambda o: o.sort_key):
        if not order.is_open:
            continue
        try:
            check_cancelable(order)
        except VenueError as error:
            rows.append({"id": order.id, "status": error.status, "body": error.body})
            continue
        call.simulator.execution.cancel(call.account, order)
        rows.append({"id": order.id, "status": 200, "body": present(call, order, nested=True)})
    return rows


ROUTES: list[Route] = [
    route("/v2/orders", get=list_orders, post=create, delete=cancel_all),
    route("/v2/orders:by_client_order_id", get=get_by_client_order_id),
    route("/v2/orders/{order_id}", get=get, patch=replace, delete=cancel),
]
