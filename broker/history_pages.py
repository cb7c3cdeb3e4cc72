"""Make values of a page of an account's history, which is read once and long: hundreds of thousands of rows.

What a row nearly always looks like (text, or nothing at all) is read here in one go; whatever does not look so is
left to `mapping`, which judges each field by itself and says what is wrong. Both give the same values. Pure.
"""

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

from broker import mapping, times
from broker.errors import UnreadableAnswer
from broker.numbers import exact
from broker.types import BrokerActivity, BrokerFill, BrokerOrder, RawText

_TEXT_OR_NOTHING = frozenset({str, type(None)})
_order_words = itemgetter(
    "id", "client_order_id", "symbol", "asset_id", "side", "type", "order_type", "order_class", "time_in_force",
    "status", "replaces", "replaced_by", "subtag",
)  # fmt: skip
_order_numbers = itemgetter(
    "filled_qty", "qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent", "filled_avg_price"
)
_order_times = itemgetter(
    "created_at", "updated_at", "submitted_at", "filled_at", "canceled_at", "expired_at", "failed_at", "replaced_at"
)
_fill_words = itemgetter(
    "id", "order_id", "symbol", "side", "qty", "price", "transaction_time", "cum_qty", "leaves_qty", "activity_type"
)
_SIDES = {"buy": "buy", "sell": "sell", "sell_short": "sell"}
_NOTHING = Decimal(0)
_SPACE = frozenset({" ", "\t", "\n", "\r"})


def orders_of(body: bytes) -> Any:
    """Return the orders of a page; the bare document where a row cannot be read, for its reader to complain of."""
    return _read(body, _usual_order, mapping.to_order)


def activities_of(body: bytes) -> Any:
    return _read(body, _usual_fill, mapping.to_activity)


Usual = Callable[[dict[str, Any], RawText | None], Any]


def _read(body: bytes, usual: Usual, careful: Callable[[object], Any]) -> Any:
    rows = _with_texts(body)
    if rows is None:
        return mapping.parse_json(body)
    try:
        return [usual(row, text) or careful(row) for row, text in rows]
    except UnreadableAnswer:
        return [row for row, _ in rows]


# --- Rows and their texts ------------------------------------------------------------------------------------


Rows = list[tuple[Any, RawText | None]]


def _with_texts(body: bytes) -> Rows | None:
    """Return each row of a list with the text it was sent as; None for anything but a list of objects.

    The text is what is stored. It is None where it must not be: a number with a point would be read as a float.
    """
    try:
        return _cut(body.decode("ascii"))
    except (ValueError, IndexError, RecursionError):
        return None


def _cut(text: str) -> Rows:
    rows: Rows = []
    points: list[str] = []

    def digits(number: str) -> str:
        points.append(number)
        return number

    scan = json.JSONDecoder(parse_float=digits, parse_constant=_refuse).raw_decode
    at = _past_space(text, 0)
    if text[at] != "[":
        raise ValueError
    at = _past_space(text, at + 1)
    ends = text[at] == "]"
    while not ends:
        if text[at] != "{":
            raise ValueError
        row, end = scan(text, at)
        rows.append((row, None if points else RawText(text[at:end])))
        points.clear()
        at = _past_space(text, end)
        ends = text[at] == "]"
        if not ends:
            if text[at] != ",":
                raise ValueError
            at = _past_space(text, at + 1)
    if _past_space(text, at + 1) != len(text):
        raise ValueError
    return rows


def _past_space(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE:
        at += 1
    return at


def _refuse(word: str) -> None:
    raise ValueError(word)


# --- The usual row -------------------------------------------------------------------------------------------


def _usual_order(row: dict[str, Any], text: RawText | None) -> BrokerOrder | None:
    try:
        words, numbers, moments = _order_words(row), _order_numbers(row), _order_times(row)
        extended_hours = row["extended_hours"]
        if not (
            _TEXT_OR_NOTHING.issuperset(map(type, words + numbers + moments))
            and words[0]  # its id, and below its status
            and words[9]
            and numbers[0]
            and (extended_hours is None or extended_hours.__class__ is bool)
            and not row.get("legs")
        ):
            return None
        filled_qty, qty, notional, limit, stop, trail, trail_percent, average = (
            _number(word) if word else None for word in numbers
        )
        created, updated, submitted, filled, canceled, expired, failed, replaced = (
            _moment(word) if word else None for word in moments
        )
    except (KeyError, ValueError):
        return None
    name, client_name, symbol, asset, side, kind, kind_too, order_class, in_force, status, old, new, subtag = words
    return BrokerOrder(
        broker_order_id=name,
        client_order_id=client_name or "",
        symbol=symbol or "",
        asset_id=asset or "",
        side=side or "",
        order_type=kind or kind_too or "",
        order_class=order_class or "",
        time_in_force=in_force or "",
        qty=qty,
        notional=notional,
        limit_price=limit,
        stop_price=stop,
        trail_price=trail,
        trail_percent=trail_percent,
        extended_hours=bool(extended_hours),
        status=status,
        filled_qty=filled_qty or _NOTHING,
        filled_avg_price=average,
        created_at=created,
        updated_at=updated,
        submitted_at=submitted,
        filled_at=filled,
        canceled_at=canceled,
        expired_at=expired,
        failed_at=failed,
        replaced_at=replaced,
        replaces=old or "",
        replaced_by=new or "",
        subtag=subtag or "",
        leg_ids=(),
        raw=row,
        raw_text=text,
    )


def _usual_fill(row: dict[str, Any], text: RawText | None) -> BrokerFill | None:
    try:
        words = _fill_words(row)
        if not (_TEXT_OR_NOTHING.issuperset(map(type, words)) and all(words[:7]) and words[9] == "FILL"):
            return None
        name, order, symbol, side, qty, price, at, cum_qty, leaves_qty, _ = words
        shares = _number(qty)
        if shares <= 0:
            return None
        return BrokerFill(
            activity_id=name,
            broker_order_id=order,
            symbol=symbol,
            side=_SIDES[side],
            qty=shares,
            price=_number(price),
            cum_qty=_number(cum_qty) if cum_qty else None,
            leaves_qty=_number(leaves_qty) if leaves_qty else None,
            transaction_time=_moment(at),
            raw=row,
            raw_text=text,
        )
    except (KeyError, ValueError):
        return None


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal:
    """Quantities and prices come again and again."""
    return exact(text)


@lru_cache(maxsize=64)
def _moment(text: str) -> datetime:
    """An order was mostly made when it was submitted, and changed last when it was filled."""
    return times.moment(text)


def as_order(row: object) -> BrokerOrder:
    return row if isinstance(row, BrokerOrder) else mapping.to_order(row)


def as_activity(row: object) -> BrokerFill | BrokerActivity:
    return row if isinstance(row, BrokerFill | BrokerActivity) else mapping.to_activity(row)
