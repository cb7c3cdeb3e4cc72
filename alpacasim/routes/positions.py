"""/v2/positions: list, get, close one, close all."""

from decimal import Decimal
from typing import Any

from starlette.routing import Route

from .. import entry, positions
from ..assets import Asset
from ..call import Answer, Call, route
from ..errors import VenueError, malformed, not_found
from ..numbers import ZERO
from ..orders import Order
from ..positions import Position
from ..requests import OrderRequest, parse_flag, parse_positive
from .orders import cancel_every, present

_NINE_PLACES = Decimal("1e-9")


def _present(call: Call, position: Position) -> dict[str, Any]:
    venue = call.venue
    asset = venue.asset_of(position.symbol)
    held = call.account.held_for_orders(position.symbol)
    return positions.to_json(position, asset, venue.quote(position.symbol), held)


def _shown(call: Call) -> dict[str, Position]:
    """The positions as this request sees them, which may lag behind the fills."""
    lag = call.faults.get("positions_lag")
    if lag is None:
        return call.account.positions
    return call.account.positions_as_of(call.venue.scheduler.now() - float(lag.args.get("seconds", 10)))


def list_positions(call: Call) -> Any:
    held = _shown(call)
    return [_present(call, held[symbol]) for symbol in sorted(held)]


def _find(call: Call) -> tuple[Asset, Position]:
    name = call.path["symbol"]
    asset = call.venue.assets.find(name)
    position = _shown(call).get(asset.symbol) if asset else None
    if asset is None or position is None:
        raise not_found("position does not exist")
    return asset, position


def get(call: Call) -> Any:
    return _present(call, _find(call)[1])


def close(call: Call) -> Any:
    asset, position = _find(call)
    qty = parse_positive("qty", call.query.get("qty"))
    percentage = parse_positive("percentage", call.query.get("percentage"))
    if qty is not None and percentage is not None:
        raise malformed("only one of qty or percentage is accepted")
    if percentage is not None:
        if percentage > 100:
            raise malformed("percentage must be between 0 and 100")
        qty = _share(abs(position.qty), percentage)
    return present(call, _close(call, asset, position, qty or abs(position.qty)), nested=True)


def _share(held: Decimal, percentage: Decimal) -> Decimal:
    share = (held * percentage / 100).quantize(_NINE_PLACES)
    # A whole position is closed in whole shares.
    return share if held % 1 else max(share // 1, Decimal(1))


def _close(call: Call, asset: Asset, position: Position, qty: Decimal) -> Order:
    request = OrderRequest(
        symbol=asset.symbol,
        qty=qty,
        side="sell" if position.qty > ZERO else "buy",
        type="market",
        time_in_force="gtc" if asset.is_crypto else "day",
    )
    return entry.submit(call.venue, call.simulator.execution, call.account, request)


def close_all(call: Call) -> Any:
    """Answers with one row for each canceled order and each position, as they stood at that moment.

    A position whose shares are still claimed by an order that is only being canceled is refused.
    """
    rows: list[dict[str, Any]] = []
    if parse_flag("cancel_orders", call.query.get("cancel_orders")):
        rows += [{"symbol": r["id"], "status": r["status"], "body": r["body"]} for r in cancel_every(call)]
    for symbol in sorted(call.account.positions):
        asset, position = call.venue.asset_of(symbol), call.account.positions[symbol]
        row: dict[str, Any] = {"symbol": symbol.replace("/", "")}
        try:
            order = _close(call, asset, position, abs(position.qty))
            rows.append(row | {"status": 200, "body": present(call, order, nested=True)})
        except VenueError as error:
            rows.append(row | {"status": error.status, "body": dict(sorted(error.body.items()))})
    return Answer(207, rows)


ROUTES: list[Route] = [
    route("/v2/positions", get=list_positions, delete=close_all),
    route("/v2/positions/{symbol:path}", get=get, delete=close),
]
