"""One order of a batch file: what may stand in each field, and which fields go together. Pure.

The rules are Alpaca's own where a broken one would be refused anyway: better before anything is recorded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal

from orders.order_class import OCO, ORDER_CLASSES, SIMPLE, class_errors

SIDES = ("buy", "sell")
ORDER_TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")
PRICE_FIELDS = ("limit_price", "stop_price", "trail_price", "trail_percent")
REQUIRED_FIELDS = ("symbol", "side")

QTY_PLACES = 9
DOLLAR_PLACES = 2
PENNY_PLACES = 2
SUB_DOLLAR_PLACES = 4
MAX_NUMBER = Decimal(10) ** 9
MIN_NOTIONAL = Decimal(1)

_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_SYMBOL = re.compile(r"[A-Z0-9]{1,12}([./][A-Z0-9]{1,6})?", re.ASCII)
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong in one place of the file. `line` is None when it concerns the file as a whole."""

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        place = ["file" if self.line is None else f"line {self.line}", self.field]
        return f"{', '.join(filter(None, place))}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One order as it will be recorded: words in lower case, the symbol in capitals, numbers without spare zeros."""

    number: int
    symbol: str
    side: str
    order_type: str = "market"
    time_in_force: str = "day"
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    order_class: str = ""  # empty for a simple order, as Alpaca has it
    take_profit_limit_price: Decimal | None = None
    stop_loss_stop_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None
    cancel_exits_first: bool = False

    def terms(self) -> tuple[str, ...]:
        """Everything but its place in the file: two lines with equal terms are the same order twice."""
        return tuple(spelled(getattr(self, name)) for name in FIELDS)


FIELDS = tuple(field.name for field in fields(Line) if field.name != "number")


def spelled(value: object) -> str:
    """Return the one spelling of a value: what a file may hold and what the digest is made of."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def shown(text: str) -> str:
    """Return a cell as an error message shows it: quoted, printable, not endless."""
    return "nothing" if not text else repr(text if len(text) <= 40 else f"{text[:37]}…")


def read_line(number: int, cells: Mapping[str, str]) -> Line | list[LineError]:
    """Return the order that the cells describe, or everything that is wrong with them."""
    cells = {name: text.strip() for name, text in cells.items()}
    errors: list[LineError] = []
    reader = _CellReader(number, cells, errors)
    order_class = reader.word("order_class", ORDER_CLASSES, default=SIMPLE)
    profit, limit = reader.price("take_profit_limit_price"), reader.price("limit_price")
    line = Line(
        number=number,
        symbol=reader.symbol(),
        side=reader.word("side", SIDES, default=""),
        order_type=reader.word("order_type", ORDER_TYPES, default="market"),
        time_in_force=reader.word("time_in_force", TIMES_IN_FORCE, default="day"),
        qty=reader.amount("qty", places=QTY_PLACES),
        notional=reader.amount("notional", places=DOLLAR_PLACES, least=MIN_NOTIONAL),
        # An OCO is its own take-profit: at Alpaca both are one price.
        limit_price=profit if order_class == OCO and not cells.get("limit_price") else limit,
        stop_price=reader.price("stop_price"),
        trail_price=reader.price("trail_price"),
        trail_percent=reader.amount("trail_percent", places=2, most=Decimal(100)),
        extended_hours=reader.yes_no("extended_hours"),
        order_class="" if order_class == SIMPLE else order_class,
        take_profit_limit_price=profit,
        stop_loss_stop_price=reader.price("stop_loss_stop_price"),
        stop_loss_limit_price=reader.price("stop_loss_limit_price"),
        cancel_exits_first=reader.yes_no("cancel_exits_first"),
    )
    wrong = {error.field for error in errors}
    errors += [error for error in _contradictions(line, cells) if error.field not in wrong]
    return errors or line


class _CellReader:
    """Reads the cells of one line; what cannot be read becomes an error and an empty value."""

    def __init__(self, number: int, cells: Mapping[str, str], errors: list[LineError]) -> None:
        self.number, self.cells, self.errors = number, cells, errors

    def refuse(self, field: str, expected: str) -> None:
        found = shown(self.cells.get(field, ""))
        self.errors.append(LineError(self.number, field, f"expected {expected}, found {found}"))

    def symbol(self) -> str:
        symbol = self.cells.get("symbol", "").upper()
        if not _SYMBOL.fullmatch(symbol):
            self.refuse("symbol", "a ticker such as AAPL or BRK.B")
        return symbol

    def word(self, field: str, allowed: tuple[str, ...], *, default: str) -> str:
        word = self.cells.get(field, "").lower() or default
        if word not in allowed:
            self.refuse(field, f"{', '.join(allowed[:-1])} or {allowed[-1]}")
        return word

    def yes_no(self, field: str) -> bool:
        text = self.cells.get(field, "").lower()
        if text and text not in _YES_NO:
            self.refuse(field, "true or false")
        return _YES_NO.get(text, False)

    def amount(
        self, field: str, *, places: int, least: Decimal | None = None, most: Decimal = MAX_NUMBER
    ) -> Decimal | None:
        text = self.cells.get(field, "")
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            self.refuse(field, "a number such as 12.5")
            return None
        number = Decimal(text)
        if number <= 0 or (least is not None and number < least) or number > most:
            lower = "more than 0" if least is None else f"at least {least}"
            self.refuse(field, f"a number of {lower} and at most {most}")
            return None
        number = Decimal(format(number.normalize(), "f"))
        if decimal_places(number) > places:
            self.refuse(field, f"at most {places} decimal places")
            return None
        return number

    def price(self, field: str) -> Decimal | None:
        price = self.amount(field, places=SUB_DOLLAR_PLACES)
        if price is not None and price >= 1 and decimal_places(price) > PENNY_PLACES:
            self.refuse(field, "a price of $1 or more in whole cents (below $1: four decimal places)")
            return None
        return price


def decimal_places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _contradictions(line: Line, cells: Mapping[str, str]) -> list[LineError]:
    """Return where the fields of one line, each good by itself, do not go together."""
    found = [*_size_errors(cells), *_price_errors(line, cells), *_time_errors(line)]
    named = {field for field, _message in found}
    found += [(field, message) for field, message in class_errors(line, cells) if field not in named]
    if line.cancel_exits_first and (line.order_class or line.qty is None):
        found.append(("cancel_exits_first", "expected it with a simple order of so many shares, which closes"))
    return [LineError(line.number, field, message) for field, message in found]


def _size_errors(cells: Mapping[str, str]) -> list[tuple[str, str]]:
    given = [name for name in ("qty", "notional") if cells.get(name)]
    if len(given) == 2:
        return [("qty", "expected either qty or notional, found both")]
    return [] if given else [("qty", "expected either qty or notional, found neither")]


def _price_errors(line: Line, cells: Mapping[str, str]) -> list[tuple[str, str]]:
    needed = {"limit": ["limit_price"], "stop": ["stop_price"], "stop_limit": ["limit_price", "stop_price"]}
    allowed = needed.get(line.order_type, [])
    errors = [
        (name, f"expected a price for a {line.order_type} order, found nothing")
        for name in allowed
        if not cells.get(name) and line.order_class != OCO
    ]
    if line.order_type == "trailing_stop":
        allowed = [name for name in ("trail_price", "trail_percent") if cells.get(name)]
        if len(allowed) != 1:
            count = "both" if allowed else "neither"
            errors.append(("trail_price", f"expected either trail_price or trail_percent, found {count}"))
    errors += [
        (name, f"expected nothing for a {line.order_type} order, found {shown(cells[name])}")
        for name in PRICE_FIELDS
        if name not in allowed and cells.get(name) and line.order_type in ORDER_TYPES
    ]
    return errors


def _time_errors(line: Line) -> list[tuple[str, str]]:
    """Alpaca takes parts of shares for the day only, stops for day or gtc, extended hours with a limit."""
    errors = []
    is_fractional = line.notional is not None or (line.qty is not None and line.qty != line.qty.to_integral_value())
    if is_fractional and line.order_type == "trailing_stop":
        errors.append(("qty", "expected whole shares for a trailing_stop order, found a part of a share"))
    if is_fractional and line.time_in_force != "day":
        errors.append(("time_in_force", f"expected day for parts of shares or notional, found {line.time_in_force!r}"))
    elif line.order_type in {"stop", "stop_limit", "trailing_stop"} and line.time_in_force not in {"day", "gtc"}:
        errors.append(
            ("time_in_force", f"expected day or gtc for a {line.order_type} order, found {line.time_in_force!r}")
        )
    if line.extended_hours and (line.order_type != "limit" or line.time_in_force not in {"day", "gtc"}):
        found = f"{line.order_type} {line.time_in_force}"
        errors.append(("extended_hours", f"expected a limit order for day or gtc, found {found}"))
    return errors
