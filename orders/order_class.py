"""Orders that bring their exits with them: bracket, OCO and OTO. What they need and what they rule out. Pure.

The entry of a bracket or OTO opens a position; an OCO closes one, and is itself the take-profit. The rules are
Alpaca's.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Protocol

SIMPLE, BRACKET, OCO, OTO = "simple", "bracket", "oco", "oto"
ORDER_CLASSES = (SIMPLE, BRACKET, OCO, OTO)
EXIT_FIELDS = ("take_profit_limit_price", "stop_loss_stop_price", "stop_loss_limit_price")

Error = tuple[str, str]


class Terms(Protocol):
    """The part of a line that the rules look at. `order_class` is empty for a simple order, as Alpaca has it."""

    @property
    def side(self) -> str: ...
    @property
    def order_type(self) -> str: ...
    @property
    def order_class(self) -> str: ...
    @property
    def time_in_force(self) -> str: ...
    @property
    def qty(self) -> Decimal | None: ...
    @property
    def notional(self) -> Decimal | None: ...
    @property
    def limit_price(self) -> Decimal | None: ...
    @property
    def extended_hours(self) -> bool: ...
    @property
    def take_profit_limit_price(self) -> Decimal | None: ...
    @property
    def stop_loss_stop_price(self) -> Decimal | None: ...
    @property
    def stop_loss_limit_price(self) -> Decimal | None: ...


def class_errors(line: Terms, cells: Mapping[str, str]) -> Iterator[Error]:
    """Yield field and message of whatever does not go together; `cells` says what was written."""
    if line.order_class not in (BRACKET, OCO, OTO):
        for name in EXIT_FIELDS:
            if cells.get(name):
                yield name, f"expected nothing without order_class bracket, oco or oto, found {cells[name]!r}"
        return
    yield from _exit_errors(line, cells)
    yield from _term_errors(line)
    yield from _price_errors(line)


def _exit_errors(line: Terms, cells: Mapping[str, str]) -> Iterator[Error]:
    profit, stop, stop_limit = (bool(cells.get(name)) for name in EXIT_FIELDS)
    if line.order_class == OTO:
        if profit == stop:
            found = "both" if profit else "neither"
            message = f"expected either this or stop_loss_stop_price for an oto order, found {found}"
            yield "take_profit_limit_price", message
    else:
        for name, is_given in (("take_profit_limit_price", profit), ("stop_loss_stop_price", stop)):
            if not is_given:
                yield name, f"expected a price for {_a(line)} order, found nothing"
    if stop_limit and not stop:
        yield "stop_loss_limit_price", "expected stop_loss_stop_price with it, found it alone"


def _term_errors(line: Terms) -> Iterator[Error]:
    if line.order_class == OCO and line.order_type != "limit":
        yield "order_type", f"expected limit for an oco order, found {line.order_type!r}"
    elif line.order_type == "trailing_stop":
        yield "order_type", f"expected another type for {_a(line)} order, found 'trailing_stop'"
    if line.time_in_force not in {"day", "gtc"}:
        yield "time_in_force", f"expected day or gtc for {_a(line)} order, found {line.time_in_force!r}"
    if line.extended_hours:
        yield "extended_hours", f"expected false for {_a(line)} order, found true"
    if line.notional is not None:
        yield "notional", f"expected qty in whole shares for {_a(line)} order, found notional"
    elif line.qty is not None and line.qty != line.qty.to_integral_value():
        yield "qty", f"expected whole shares for {_a(line)} order, found a part of a share"


def _price_errors(line: Terms) -> Iterator[Error]:
    """The take-profit lies on the side of the gain, the stop on the side of the loss, the entry's limit between."""
    profit, stop, limit = line.take_profit_limit_price, line.stop_loss_stop_price, line.limit_price
    is_long = (line.side == "buy") != (line.order_class == OCO)
    gain, loss = ("above", "below") if is_long else ("below", "above")
    if profit is not None and stop is not None and not _is_beyond(profit, stop, is_up=is_long):
        yield "take_profit_limit_price", f"expected a price {gain} stop_loss_stop_price {stop:f}, found {profit:f}"
    if line.order_class == OCO:
        if limit is not None and profit is not None and limit != profit:
            yield "limit_price", f"expected nothing or take_profit_limit_price {profit:f}, found {limit:f}"
    elif limit is not None:
        if profit is not None and not _is_beyond(profit, limit, is_up=is_long):
            yield "take_profit_limit_price", f"expected a price {gain} limit_price {limit:f}, found {profit:f}"
        if stop is not None and not _is_beyond(stop, limit, is_up=not is_long):
            yield "stop_loss_stop_price", f"expected a price {loss} limit_price {limit:f}, found {stop:f}"


def _is_beyond(price: Decimal, base: Decimal, *, is_up: bool) -> bool:
    return price > base if is_up else price < base


def _a(line: Terms) -> str:
    return f"{'a' if line.order_class == BRACKET else 'an'} {line.order_class}"
