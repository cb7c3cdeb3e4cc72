"""What the venue refuses because of the asset, the account or the market."""

from decimal import Decimal

from . import errors
from .accounts import Account
from .assets import Asset
from .errors import forbidden, malformed, unprocessable
from .matching import crosses
from .numbers import ZERO, plain
from .requests import OrderRequest

CRYPTO_MINIMUM = Decimal(10)


def check_asset(request: OrderRequest, asset: Asset | None) -> Asset:
    if asset is None:
        raise unprocessable(f'asset "{request.symbol}" not found')
    if asset.status != "active":
        raise unprocessable(f'asset "{asset.symbol}" is not active')
    if not asset.tradable:
        raise unprocessable(f'asset "{asset.symbol}" is not tradable')
    if request.is_fractional and not asset.fractionable:
        raise forbidden(f'asset "{asset.symbol}" is not fractionable')
    return asset


def check_terms(request: OrderRequest, asset: Asset) -> None:
    if asset.is_crypto:
        if request.time_in_force not in {"gtc", "ioc"}:
            raise unprocessable("invalid crypto time_in_force")
        if request.type not in {"market", "limit", "stop_limit"} or request.order_class:
            raise unprocessable("invalid order type for crypto order")
        return
    if request.is_fractional and request.time_in_force != "day":
        raise unprocessable("fractional orders must be DAY orders")
    if request.is_fractional and request.type == "trailing_stop":
        raise unprocessable("fractional orders must be market, limit, stop or stop limit orders")
    if request.type == "trailing_stop" and request.time_in_force not in {"day", "gtc"}:
        raise unprocessable("trailing stop orders must be DAY or GTC orders")
    if request.extended_hours and (request.type != "limit" or request.time_in_force not in {"day", "gtc"}):
        raise unprocessable("extended hours order must be DAY or GTC limit orders")


def check_stop(request: OrderRequest, price: Decimal) -> None:
    stop, selling = request.stop_price, request.side == "sell"
    if stop is not None and (stop >= price if selling else stop <= price):
        word = "less" if selling else "greater"
        raise unprocessable(
            f"stop price must be {word} than current price", market_price=plain(price), stop_price=plain(stop)
        )


def check_identity(account: Account, client_order_id: str | None) -> None:
    if client_order_id is not None and account.find_by_client_order_id(client_order_id):
        raise malformed("client_order_id must be unique")


def check_account(account: Account) -> None:
    if account.trading_blocked or account.configurations["suspend_trade"]:
        raise forbidden("new orders are rejected by user request")


def check_wash_trade(account: Account, request: OrderRequest, symbol: str) -> None:
    """Simple orders only: bracket, OCO, OTO and trailing stops are exempt."""
    if request.order_class or request.type == "trailing_stop":
        return
    for order in account.live.values():
        if order.symbol != symbol or order.side == request.side or not order.is_open:
            continue
        if order.order_class or order.type == "trailing_stop":
            continue
        limits = order.type == "limit" and request.type == "limit"
        if not limits or crosses(order, request.side, request.limit_price):
            raise errors.wash_trade(order.id, "limit" if order.type == "limit" else "market/stop")


def intent_of(account: Account, request: OrderRequest, symbol: str) -> str:
    position = account.positions.get(symbol)
    held = position.qty if position else ZERO
    closing = held < 0 if request.side == "buy" else held > 0
    inferred = f"{request.side}_to_{'close' if closing or request.order_class == 'oco' else 'open'}"
    if request.position_intent and request.position_intent != inferred:
        raise forbidden(f"position intent mismatch, inferred: {inferred}, specified: {request.position_intent}")
    return inferred


def check_holdings(account: Account, request: OrderRequest, asset: Asset, intent: str, price: Decimal) -> None:
    """A closing order may not exceed what is free; an opening sale must be a permitted short."""
    position = account.positions.get(asset.symbol)
    existing = abs(position.qty) if position else ZERO
    wanted = request.qty if request.qty is not None else (request.notional or ZERO) / price
    if intent.endswith("_close") or (request.side == "sell" and (request.is_fractional or asset.is_crypto)):
        held = account.held_for_orders(asset.symbol)
        if wanted > existing - held:
            raise _insufficient(asset, wanted, existing, held)
    elif request.side == "sell":
        _check_short(account, asset)


def _insufficient(asset: Asset, wanted: Decimal, existing: Decimal, held: Decimal) -> errors.VenueError:
    requested, available = plain(wanted), plain(existing - held)
    if asset.is_crypto:
        coin = asset.symbol.partition("/")[0]
        return forbidden(f"insufficient balance for {coin} (requested: {requested}, available: {available})")
    return errors.insufficient_qty(asset.symbol, requested, available, plain(existing), plain(held))


def _check_short(account: Account, asset: Asset) -> None:
    if account.configurations["no_shorting"]:
        raise forbidden("account is not allowed to short")
    if not asset.shortable:
        raise forbidden(f'asset "{asset.symbol}" cannot be sold short')
    if any(o.symbol == asset.symbol and o.side == "buy" and o.is_open for o in account.live.values()):
        raise forbidden("cannot open a short sell while a long buy order is open")


def check_buying_power(cost: Decimal, buying_power: Decimal, asset: Asset) -> None:
    if asset.is_crypto and cost < CRYPTO_MINIMUM:
        raise forbidden(f"cost basis must be >= minimal amount of order {CRYPTO_MINIMUM}")
    if cost > buying_power:
        raise forbidden(
            "insufficient buying power", buying_power=plain(max(buying_power, ZERO)), cost_basis=plain(cost)
        )
