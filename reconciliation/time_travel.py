"""Both sides of a kept picture side by side, with what differs marked. Pure: JSON in, lines of tables out.

A side that says nothing is marked only where it should have said something: what lies outside the window of the
read was not asked for, and its silence means nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from orders.lifecycle import is_terminal
from reconciliation.position_comparison import AVERAGE_TOLERANCE
from ui.formatting import price, qty

#: More lines than this in one table are for the filter by symbol.
LINES_SHOWN = 200

Facts = Mapping[str, Any]
Spell = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Pair:
    """One field: what the database and what Alpaca said. The empty text: that side said nothing."""

    database: str
    broker: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    symbol: str
    name: str
    pairs: tuple[Pair, ...]
    note: str = ""
    order_pk: int | None = None

    @property
    def differs(self) -> bool:
        return any(pair.differs for pair in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One table: those that differ first."""

    name: str
    fields: tuple[str, ...]
    lines: list[Line]
    total: int
    differing: int
    left_out: int  # by the bound of the picture itself

    @property
    def hidden(self) -> int:
        return self.total - len(self.lines)

    @property
    def differing_words(self) -> str:
        return f"{self.differing} differ" if self.differing > 1 else f"{self.differing} differs"


def sheets_of(local: Facts, broker: Facts, *, symbol: str = "", only_differences: bool = False) -> list[Sheet]:
    """Return positions, orders and fills, of one symbol or of all."""
    left_out = {name: local.get(name, 0) + broker.get(name, 0) for name in ("orders_left_out", "fills_left_out")}
    made = (
        ("Positions", ("Quantity", "Entry"), _positions(local, broker), 0),
        ("Orders", ("Status", "Filled", "Average"), _orders(local, broker), left_out["orders_left_out"]),
        ("Fills", ("Quantity", "Price"), _fills(local, broker), left_out["fills_left_out"]),
    )
    return [
        _sheet(name, fields, lines, left_out=missing, symbol=symbol, only_differences=only_differences)
        for name, fields, lines, missing in made
    ]


def symbols_in(local: Facts, broker: Facts) -> list[str]:
    rows = [*local["orders"], *_their_orders(broker), *local["fills"].values(), *broker["fills"].values()]
    return sorted({row["symbol"] for row in rows} | set(local["positions"]) | set(broker["positions"]))


def _sheet(
    name: str, fields: tuple[str, ...], lines: Iterator[Line], *, left_out: int, symbol: str, only_differences: bool
) -> Sheet:
    found = [line for line in lines if not symbol or line.symbol == symbol]
    differing = sum(line.differs for line in found)
    found = [line for line in found if line.differs or not only_differences]
    found.sort(key=lambda line: not line.differs)
    return Sheet(
        name=name,
        fields=fields,
        lines=found[:LINES_SHOWN],
        total=len(found),
        differing=differing,
        left_out=left_out,
    )


# --- The three tables -----------------------------------------------------------------------------------------


def _positions(local: Facts, broker: Facts) -> Iterator[Line]:
    ours, theirs = local["positions"], broker["positions"]
    for symbol in sorted(set(ours) | set(theirs)):
        mine, there = ours.get(symbol), theirs.get(symbol)
        have, has = (Decimal(side["qty"]) if side else Decimal(0) for side in (mine, there))
        pending = bool(mine) and mine["state"] == "pending"
        yield Line(
            symbol=symbol,
            name=symbol,
            pairs=(
                Pair(qty(mine["qty"]) if mine else "", qty(there["qty"]) if there else "", have != has),
                Pair(
                    price(mine["avg_entry_price"]) if mine else "",
                    price(there["avg_entry_price"]) if there else "",
                    have == has and not _averages_agree(mine, there),
                ),
            ),
            note="waits for its entry" if pending else "",
        )


def _averages_agree(mine: Facts | None, there: Facts | None) -> bool:
    ours, theirs = ((side or {}).get("avg_entry_price") for side in (mine, there))
    if ours is None or theirs is None:
        return True
    return abs(Decimal(ours) - Decimal(theirs)) <= abs(Decimal(theirs)) * AVERAGE_TOLERANCE


def _their_orders(broker: Facts) -> list[Facts]:
    return [*broker["orders"], *broker["ended_orders"]]


def _orders(local: Facts, broker: Facts) -> Iterator[Line]:
    """Newest first, ours beside Alpaca's of the same id, or of the same client id while ours has no other."""
    theirs = {order["broker_order_id"]: order for order in _their_orders(broker)}
    by_client_id = {order["client_order_id"]: order for order in theirs.values()}
    absent, seen, lines = set(broker["absent"]), set(), []
    for mine in local["orders"]:
        there = theirs.get(mine["broker_order_id"]) if mine["broker_order_id"] else None
        there = there or by_client_id.get(mine["client_order_id"])
        if there:
            seen.add(there["broker_order_id"])
        is_gone = {mine["broker_order_id"], mine["client_order_id"]} & absent
        lines.append((there or {}, _order_line(mine, there, is_gone=bool(is_gone))))
    lines.extend((there, _order_line(None, there)) for key, there in theirs.items() if key not in seen)
    lines.sort(key=lambda pair: pair[0].get("submitted_at") or "", reverse=True)
    return iter([line for _, line in lines])


def _order_line(mine: Facts | None, there: Facts | None, *, is_gone: bool = False) -> Line:
    fact = mine or there or {}
    if mine is None or there is None:
        marked = mine is None or is_gone
        note = "" if mine is None else ("Alpaca has none" if is_gone else _why_not_read(mine))
        differs = [marked, marked, False]
    else:
        note = "" if mine["broker_order_id"] else "found by its client id"
        differs = [
            (mine["status"] or "") != there["status"],
            not _same(mine["filled_qty"], there["filled_qty"]),
            False,
        ]
    spells: tuple[tuple[str, Spell], ...] = (("status", _word), ("filled_qty", qty), ("filled_avg_price", price))
    return Line(
        symbol=fact["symbol"],
        name=_spell_order(there or fact),
        pairs=tuple(
            Pair(spell(mine[name]) if mine else "", spell(there[name]) if there else "", marked)
            for (name, spell), marked in zip(spells, differs, strict=True)
        ),
        note=note,
        order_pk=mine["pk"] if mine else None,
    )


def _why_not_read(mine: Facts) -> str:
    if mine["submission_state"] != "confirmed":
        return f"{_word(mine['submission_state'])}: not at Alpaca"
    return "ended before the window that was read" if is_terminal(mine["status"]) else "not read"


def _spell_order(order: Facts) -> str:
    size = qty(order["qty"]) if order["qty"] is not None else f"${order.get('notional') or '?'}"
    return f"{order['side']} {size} {_word(order.get('order_type') or '')}".strip()


def _fills(local: Facts, broker: Facts) -> Iterator[Line]:
    ours, theirs, after = local["fills"], broker["fills"], broker["activities_after"]
    for key in sorted(set(ours) | set(theirs), reverse=True):
        mine, there = ours.get(key), theirs.get(key)
        fact = mine or there
        in_window = after is None or _moment(fact["transaction_time"]) > _moment(after)
        alone = mine is None or (there is None and in_window)
        both = mine is not None and there is not None
        yield Line(
            symbol=fact["symbol"],
            name=f"{fact['side']}, {key}",
            pairs=tuple(
                Pair(
                    spell(mine[name]) if mine else "",
                    spell(there[name]) if there else "",
                    not _same(mine[name], there[name]) if both else alone,
                )
                for name, spell in (("qty", qty), ("price", price))
            ),
            note="before the window that was read" if there is None and not in_window else "",
        )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _same(first: str | None, second: str | None) -> bool:
    if first is None or second is None:
        return first == second
    return Decimal(first) == Decimal(second)


def _word(text: str) -> str:
    return text.replace("_", " ")
