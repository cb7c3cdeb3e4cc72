"""Small worlds for property tests: what Alpaca shows, and records that lag behind it in every mixture.

The orders and fills are JSON as Alpaca sends it, read by the product's own mapping. A record is described by how
far each order came in our books; applying a plan to a record here follows the meaning of its operations.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from broker.mapping import to_activity, to_order
from broker.types import BrokerAccount, BrokerClock, BrokerFill, BrokerOrder, BrokerPosition
from positions.accounting import LedgerEntry, fold
from reconciliation.agreeing import ended_facts
from reconciliation.evidence import (
    BrokerEvidence,
    LocalFill,
    LocalOrder,
    LocalPosition,
    LocalRecord,
    Percentages,
)
from reconciliation.ledger_entries import entry_of
from reconciliation.proposals import Proposal
from reconciliation.terms import spell_terms

START = datetime(2025, 11, 6, 13, 0, tzinfo=UTC)
READ_AT = START + timedelta(days=1)
SYMBOLS = ("ACGL", "NVDA", "QCOM")
_NUMBERS = frozenset({"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"})
#: How much of an order our books have: all, or what one kind of drift leaves out.
LAGS = (
    "recorded", "unrecorded", "unlinked", "status_behind", "fills_missing", "fill_invented", "fill_differs",
    "terms_differ", "ended_too_soon", "fill_busted",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class World:
    orders: tuple[BrokerOrder, ...]
    fills: tuple[BrokerFill, ...]

    def evidence(self) -> BrokerEvidence:
        zero = Decimal(0)
        return BrokerEvidence(
            read_started_at=READ_AT,
            account=BrokerAccount(
                account_id="a", account_number="n", status="ACTIVE", created_at=START, equity=zero, last_equity=zero,
                cash=zero, buying_power=zero, long_market_value=zero, short_market_value=zero, trading_blocked=False,
                account_blocked=False, trade_suspended_by_user=False, raw={},
            ),
            clock=BrokerClock(timestamp=READ_AT, is_open=True, next_open=READ_AT, next_close=READ_AT),
            orders={order.broker_order_id: order for order in self.orders},
            fills={fill.activity_id: fill for fill in self.fills},
            positions=self.positions(),
            activities_after=START - timedelta(days=1),
        )  # fmt: skip

    def positions(self) -> dict[str, BrokerPosition]:
        held = {}
        for symbol in SYMBOLS:
            trips = fold([entry_of(fill) for fill in self.fills if fill.symbol == symbol])
            if trips and trips[-1].qty != 0:
                held[symbol] = BrokerPosition(
                    symbol=symbol, asset_id=symbol, qty=trips[-1].qty, avg_entry_price=trips[-1].avg_entry_price,
                    current_price=None, market_value=None, unrealized_pl=None, raw={},
                )  # fmt: skip
        return held


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, dict[str, str]]:
    """A world, and per broker order id how far our books came with it."""
    numbers, lags = count(1), {}
    orders, fills = [], []
    for _ in range(draw(st.integers(0, 6))):
        number = next(numbers)
        symbol, side = draw(st.sampled_from(SYMBOLS)), draw(st.sampled_from(["buy", "sell"]))
        sizes = draw(st.lists(st.decimals("0.001", 90, places=3), max_size=3))
        prices = [draw(st.decimals("1", 900, places=2)) for _ in sizes]
        at = START + timedelta(minutes=draw(st.integers(0, 300)), seconds=number)
        ended, is_ours = draw(st.sampled_from(["", "filled", "canceled", "expired"])), draw(st.booleans())
        order, executions = _order(number, symbol, side, sizes, prices, at, ended=ended, drawn=is_ours)
        lags[order.broker_order_id] = draw(st.sampled_from(LAGS))
        for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
            # Replaced, perhaps again: each link has an id and fills of its own, and an id that Alpaca made up.
            sizes = draw(st.lists(st.decimals("0.001", 90, places=3), max_size=2))
            at += timedelta(seconds=30)
            newer, more = _order(
                next(numbers), symbol, side, sizes, [Decimal(7) for _ in sizes], at, ended=ended, drawn=False
            )
            order = _linked(order, status="replaced", replaced_by=newer.broker_order_id)
            newer = _linked(newer, replaces=order.broker_order_id)
            lags[newer.broker_order_id] = draw(st.sampled_from(LAGS))
            orders.append(order)
            fills.extend(executions)
            order, executions = newer, more
        orders.append(order)
        fills.extend(executions)
    return World(orders=tuple(orders), fills=tuple(fills)), lags


def _order(
    number: int, symbol: str, side: str, sizes: list[Decimal], prices: list[Decimal], at: datetime, *,
    ended: str, drawn: bool,
) -> tuple[BrokerOrder, list[BrokerFill]]:  # fmt: skip
    filled = sum(sizes, Decimal(0))
    order_id = str(uuid.UUID(int=number))
    if ended == "filled" and not filled:
        ended = "canceled"
    status = ended or ("partially_filled" if filled else "new")
    average = sum((q * p for q, p in zip(sizes, prices, strict=True)), Decimal(0)) / filled if filled else None
    raw: dict[str, Any] = {
        "id": order_id, "client_order_id": f"ts-{number}" if drawn else str(uuid.UUID(int=number + 10**9)),
        "symbol": symbol, "asset_id": symbol, "side": side, "type": "market", "order_class": "", "time_in_force": "day",
        "qty": str(filled if ended == "filled" else filled + 1), "filled_qty": str(filled),
        "filled_avg_price": None if average is None else f"{average:.6f}", "status": status,
        "submitted_at": at.isoformat(), "created_at": at.isoformat(), "updated_at": at.isoformat(),
        "extended_hours": False,
    }  # fmt: skip
    executions = []
    for index, (qty, price) in enumerate(zip(sizes, prices, strict=True)):
        moment = at + timedelta(seconds=index + 1)
        executions.append(
            to_activity(
                {
                    "id": f"{moment:%Y%m%d%H%M%S}000::{number}-{index}",
                    "activity_type": "FILL",
                    "order_id": order_id,
                    "symbol": symbol,
                    "side": side,
                    "qty": str(qty),
                    "price": str(price),
                    "type": "fill",
                    "transaction_time": moment.isoformat(),
                }
            )
        )
    return to_order(raw), [fill for fill in executions if isinstance(fill, BrokerFill)]


def _linked(order: BrokerOrder, **links: str) -> BrokerOrder:
    return to_order({**order.raw, **links})


@st.composite
def inventions(draw: st.DrawFn) -> dict[str, list[LedgerEntry]]:
    """Adjustments in our books that no fill stands for, by symbol."""
    found: dict[str, list[LedgerEntry]] = {}
    for symbol in draw(st.lists(st.sampled_from(SYMBOLS), unique=True, max_size=2)):
        at = START + timedelta(minutes=draw(st.integers(0, 400)))
        qty, price = draw(st.decimals(-50, 50, places=2).filter(bool)), draw(st.decimals("1", 900, places=2))
        found[symbol] = [LedgerEntry(at=at, order_key=f"made-up:{symbol}", qty=qty, price=price, kind="correction")]
    return found


# --- Records ------------------------------------------------------------------------------------------------


def record_of(world: World, lags: dict[str, str], extra: dict[str, list[LedgerEntry]] | None = None) -> LocalRecord:
    """Our books, each order as far as its lag says; positions folded from the fills that we have."""
    orders: list[LocalOrder] = []
    fills: list[BrokerFill] = []
    for pk, theirs in enumerate(world.orders, start=1):
        lag = lags.get(theirs.broker_order_id, "recorded")
        if lag == "unrecorded":
            continue
        mine = _mirror(pk, theirs)
        if lag == "unlinked":
            mine = replace(
                mine, broker_order_id="", submission_state="unconfirmed", status="", filled_qty=Decimal(0),
                filled_avg_price=None, is_in_flight=True,
            )  # fmt: skip
        elif lag == "status_behind":
            mine = replace(mine, status="new", filled_qty=Decimal(0), filled_avg_price=None)
        elif lag == "terms_differ":
            assert mine.terms is not None
            mine = replace(mine, terms={**mine.terms, "limit_price": "3.5", "time_in_force": "gtc"})
        elif lag == "ended_too_soon":
            mine = replace(mine, status="canceled", filled_qty=Decimal(0), filled_avg_price=None)
        elif lag == "fill_busted":
            mine = replace(mine, filled_qty=mine.filled_qty + 2)
        orders.append(mine)
        if lag in {"recorded", "fill_invented", "fill_differs", "terms_differ", "fill_busted"}:
            fills.extend(_as_we_have_it(world, theirs, lag))
    return _record(orders, fills, extra)


def _as_we_have_it(world: World, theirs: BrokerOrder, lag: str) -> list[BrokerFill]:
    own = [fill for fill in world.fills if fill.broker_order_id == theirs.broker_order_id]
    if own and lag == "fill_differs":
        return [replace(own[0], qty=own[0].qty + 1), *own[1:]]
    if lag == "fill_busted":
        taken_back = BrokerFill(
            activity_id=f"busted:{theirs.broker_order_id}", broker_order_id=theirs.broker_order_id,
            symbol=theirs.symbol, side=theirs.side, qty=Decimal(2), price=Decimal(9), cum_qty=None, leaves_qty=None,
            transaction_time=START + timedelta(hours=10), raw={},
        )  # fmt: skip
        return [*own, taken_back]
    if own and lag == "fill_invented":
        return [*own, replace(own[-1], activity_id=f"{own[-1].activity_id}-invented")]
    return own


def _mirror(pk: int, theirs: BrokerOrder) -> LocalOrder:
    return LocalOrder(
        pk=pk, client_order_id=theirs.client_order_id, broker_order_id=theirs.broker_order_id,
        submission_state="confirmed", status=theirs.status, symbol=theirs.symbol, side=theirs.side, qty=theirs.qty,
        filled_qty=theirs.filled_qty, filled_avg_price=theirs.filled_avg_price, replaced_by="", is_in_flight=False,
        terms=spell_terms(theirs),
    )  # fmt: skip


def _ended(order: LocalOrder) -> tuple[Any, ...] | None:
    """As it is loaded: from the row, whose terms are values."""
    spelled = order.terms or {}
    terms: dict[str, Any] = {
        name: Decimal(text) if text is not None and name in _NUMBERS else text for name, text in spelled.items()
    }
    facts = {name: getattr(order, name) for name in ("status", "submission_state", "filled_qty", "replaced_by")}
    row = {**terms, "extended_hours": spelled.get("extended_hours") == "true", "replaces": "", **facts}
    return ended_facts(SimpleNamespace(**row))


def _record(
    orders: list[LocalOrder], fills: list[BrokerFill], extra: dict[str, list[LedgerEntry]] | None = None
) -> LocalRecord:
    ledgers: dict[str, list[LedgerEntry]] = {symbol: list((extra or {}).get(symbol, [])) for symbol in SYMBOLS}
    for fill in fills:
        ledgers[fill.symbol].append(entry_of(fill))
    positions = {}
    for symbol, entries in ledgers.items():
        trips = fold(entries)
        if trips and trips[-1].qty != 0:
            positions[symbol] = LocalPosition(
                symbol=symbol, state="open", qty=trips[-1].qty, avg_entry_price=trips[-1].avg_entry_price
            )
    return LocalRecord(
        orders=tuple(replace(order, ended=_ended(order)) for order in orders),
        fills={fill.activity_id: _local_fill(fill) for fill in fills},
        positions=positions,
        ledgers={symbol: tuple(entries) for symbol, entries in ledgers.items()},
        percentages_of=lambda *_: Percentages(stop_loss_pct=Decimal(8), target_pct=Decimal(16)),
    )


def _told(fill: LocalFill) -> BrokerFill:
    return BrokerFill(
        activity_id=fill.activity_id, broker_order_id=fill.broker_order_id, symbol=fill.symbol, side=fill.side,
        qty=fill.qty, price=fill.price, cum_qty=None, leaves_qty=None, transaction_time=fill.transaction_time, raw={},
    )  # fmt: skip


def _local_fill(fill: BrokerFill) -> LocalFill:
    return LocalFill(
        activity_id=fill.activity_id, broker_order_id=fill.broker_order_id, symbol=fill.symbol, side=fill.side,
        qty=fill.qty, price=fill.price, transaction_time=fill.transaction_time,
    )  # fmt: skip


def apply_all(record: LocalRecord, world: World, proposals: list[Proposal]) -> LocalRecord:
    """The record after every operation of the plans, by their meaning."""
    orders = {order.pk: order for order in record.orders}
    fills = {fill.activity_id: _told(fill) for fill in record.fills.values()}
    extra: dict[str, list[LedgerEntry]] = {
        symbol: [entry for entry in entries if entry.kind != "fill"] for symbol, entries in record.ledgers.items()
    }
    numbers = count(max([0, *orders]) + 1)
    for proposal in proposals:
        for operation in proposal.operations:
            if operation["op"] in {"import_order", "book_order"}:
                theirs = to_order(operation["order"])
                pk = operation["order_pk"] or next(numbers)
                # An update copies the state; the terms of a recorded order are another fix.
                known, told = orders.get(pk), _mirror(pk, theirs)
                orders[pk] = replace(told, terms=known.terms if known else told.terms)
                for raw in operation["fills"]:
                    fill = to_activity(raw)
                    assert isinstance(fill, BrokerFill)
                    fills[fill.activity_id] = fill
            elif operation["op"] == "accept_terms":
                mine = orders[operation["order_pk"]]
                orders[mine.pk] = replace(mine, terms={**(mine.terms or {}), **operation["terms"]})
            elif operation["op"] == "take_out_fill":
                del fills[operation["activity_id"]]
                if "order" in operation:
                    theirs = to_order(operation["order"])
                    pk = next(pk for pk, mine in orders.items() if mine.broker_order_id == theirs.broker_order_id)
                    told = _mirror(pk, theirs)
                    orders[pk] = replace(told, terms=orders[pk].terms)
                for raw in operation["fills"]:
                    fill = to_activity(raw)
                    assert isinstance(fill, BrokerFill)
                    fills[fill.activity_id] = fill
            elif operation["op"] == "book_adjustment":
                entry = LedgerEntry(
                    at=READ_AT, order_key=operation["reference"], qty=Decimal(operation["qty"]),
                    price=Decimal(operation["price"]), kind=operation["kind"],
                )  # fmt: skip
                extra[operation["symbol"]].append(entry)
    return _record(list(orders.values()), list(fills.values()), extra)
