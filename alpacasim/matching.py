"""When an order triggers and at what price it trades: values in, values out."""

from decimal import Decimal

from .orders import Order

_TICK = Decimal("0.01")


def trail(order: Order, price: Decimal) -> bool:
    """Moves a trailing stop's high (low) water mark; true when it moved."""
    if order.type != "trailing_stop":
        return False
    selling = order.side == "sell"
    if order.hwm is not None and (price <= order.hwm if selling else price >= order.hwm):
        return False
    order.hwm = price
    distance = order.trail_price
    if distance is None:
        distance = price * (order.trail_percent or Decimal(0)) / 100
    order.stop_price = (price - distance if selling else price + distance).quantize(_TICK)
    return True


def triggers(order: Order, price: Decimal) -> bool:
    """Whether a stop is reached; orders without a stop are always triggered."""
    if order.triggered or order.stop_price is None:
        return True
    return price >= order.stop_price if order.side == "buy" else price <= order.stop_price


def trade_price(order: Order, price: Decimal) -> Decimal | None:
    """The price at which a triggered order trades now, or None while its limit is not met."""
    limit = order.limit_price
    if limit is None or (price <= limit if order.side == "buy" else price >= limit):
        return price
    return None


def crosses(order: Order, side: str, limit: Decimal | None) -> bool:
    """Whether a new order of the other side could trade with this resting one."""
    if order.limit_price is None or limit is None:
        return True
    return limit >= order.limit_price if side == "buy" else limit <= order.limit_price
