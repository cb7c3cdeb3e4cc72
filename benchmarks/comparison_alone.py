"""The comparison alone, two pictures in memory, against parsing the same orders: python -m benchmarks.comparison_alone

Both sides have the orders and a fill of each; one order in a hundred differs, in one of ten ways. It is arithmetic
alone: processor time is compared, the least of each, which is what the rest of the machine has not disturbed.
"""

import gc
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")

import django

django.setup()

from benchmarks.history import SYMBOLS, spelled  # noqa: E402
from benchmarks.rows import Figure, Scale, run_alone  # noqa: E402
from broker.mapping import to_account, to_activity, to_clock, to_order  # noqa: E402
from broker.types import BrokerFill, BrokerOrder  # noqa: E402
from reconciliation.agreeing import ended_facts  # noqa: E402
from reconciliation.comparison import compare  # noqa: E402
from reconciliation.evidence import BrokerEvidence, LocalFill, LocalOrder, LocalRecord, Percentages  # noqa: E402
from reconciliation.terms import TERMS, spell_terms  # noqa: E402

GOAL = 1.0
NOW = datetime(2026, 3, 2, 20, tzinfo=UTC)
DRIFT_EVERY = 100
_NUMBERS = ("qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent")
_MONEY = ("equity", "last_equity", "cash", "buying_power", "long_market_value", "short_market_value")


def order_as_told(number: int, count: int) -> dict[str, Any]:
    """One order as Alpaca spells it, with all of its fields."""
    at = NOW - timedelta(minutes=5) - timedelta(seconds=60) * (count - number)
    moment = spelled(at)
    return dict.fromkeys(
        (
            "expired_at", "canceled_at", "failed_at", "replaced_at", "replaced_by", "replaces", "notional",
            "stop_price", "legs", "trail_percent", "trail_price", "hwm", "subtag", "source",
        )
    ) | {
        "id": f"6f0c9d5e-1c1b-4c39-8a3a-{number:012x}",
        "client_order_id": f"ts-{number // 100}-{number % 100}-{number * 2654435761 % 2**32:08x}",
        "created_at": moment,
        "updated_at": moment,
        "submitted_at": moment,
        "filled_at": moment,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": SYMBOLS[number // 2 % len(SYMBOLS)],
        "asset_class": "us_equity",
        "qty": str(1 + number // 2 % 400),
        "filled_qty": str(1 + number // 2 % 400),
        "filled_avg_price": f"{100 + number % 37}.{number % 100:02d}",
        "order_class": "",
        "order_type": "limit",
        "type": "limit",
        "side": "sell" if number % 2 else "buy",
        "position_intent": "sell_to_close" if number % 2 else "buy_to_open",
        "time_in_force": "day",
        "limit_price": f"{101 + number % 37}.{number % 100:02d}",
        "status": "filled",
        "extended_hours": False,
    }  # fmt: skip


def fill_as_told(order: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": f"20260302{number:09d}::{order['id'][:8]}-{number:x}",
        "activity_type": "FILL",
        "order_id": order["id"],
        "transaction_time": order["filled_at"],
        "type": "fill",
        "price": order["filled_avg_price"],
        "qty": order["qty"],
        "side": order["side"],
        "symbol": order["symbol"],
        "leaves_qty": "0",
        "cum_qty": order["qty"],
        "order_status": "filled",
    }


def sides(orders: list[dict[str, Any]]) -> tuple[LocalRecord, BrokerEvidence]:
    """Both pictures, as reading and the database would give them; ours lags behind in one order of a hundred."""
    theirs = [to_order(order) for order in orders]
    fills = [fill for n, o in enumerate(orders) if isinstance(fill := to_activity(fill_as_told(o, n)), BrokerFill)]
    evidence = BrokerEvidence(
        read_started_at=NOW,
        account=to_account(
            dict.fromkeys(_MONEY, "1000.00")
            | dict.fromkeys(("trading_blocked", "account_blocked", "trade_suspended_by_user"), False)
            | {"id": "account", "account_number": "PA1", "status": "ACTIVE", "created_at": spelled(NOW)}
        ),
        clock=to_clock(
            {"timestamp": spelled(NOW), "is_open": True}
            | dict.fromkeys(("next_open", "next_close"), spelled(NOW + timedelta(hours=1)))
        ),
        orders={order.broker_order_id: order for order in theirs},
        fills={fill.activity_id: fill for fill in fills},
    )
    ours = [
        LocalOrder(
            pk=number,
            client_order_id=str(raw["client_order_id"]),
            broker_order_id=str(raw["id"]),
            submission_state="confirmed",
            status="filled",
            symbol=str(raw["symbol"]),
            side=str(raw["side"]),
            qty=Decimal(raw["qty"]),
            filled_qty=Decimal(raw["filled_qty"]),
            filled_avg_price=Decimal(raw["filled_avg_price"]),
            replaced_by="",
            is_in_flight=False,
            broker_updated_at=theirs[number].updated_at,
            terms=dict(spell_terms(theirs[number])),
        )
        for number, raw in enumerate(orders)
    ]
    booked = {
        fill.activity_id: LocalFill(
            activity_id=fill.activity_id,
            broker_order_id=fill.broker_order_id,
            symbol=fill.symbol,
            side=fill.side,
            qty=Decimal(str(fill.qty)),
            price=Decimal(str(fill.price)),
            transaction_time=fill.transaction_time,
        )
        for fill in fills
    }
    gone = _drift(ours, booked, fills)
    ours = [replace(order, ended=ended_facts(_row(order, raw))) for order, raw in zip(ours, theirs, strict=True)]
    record = LocalRecord(
        orders=tuple(order for order in ours if order.pk not in gone),
        fills=booked,
        positions={},
        ledgers={},
        percentages_of=lambda *_: Percentages(stop_loss_pct=Decimal(8), target_pct=Decimal(16)),
    )
    return record, evidence


def _row(ours: LocalOrder, theirs: BrokerOrder) -> SimpleNamespace:
    """The order as its row has it: terms and facts are our side's own values."""
    terms = {name: getattr(theirs, name) for name in TERMS}
    numbers = {name: None if (text := (ours.terms or {})[name]) is None else Decimal(text) for name in _NUMBERS}
    facts = {name: getattr(ours, name) for name in ("status", "submission_state", "filled_qty", "replaced_by")}
    return SimpleNamespace(**terms | numbers | facts, replaces="")


def _drift(ours: list[LocalOrder], booked: dict[str, LocalFill], fills: list[BrokerFill]) -> set[int]:
    """Let our side differ: status, filled quantity, terms, a fill that lacks or has other values, no order at all."""
    gone = set()
    for number in range(0, len(ours), DRIFT_EVERY):
        way, fill = number // DRIFT_EVERY % 5, fills[number]
        if way == 0:
            ours[number] = replace(ours[number], status="new", filled_qty=Decimal(0))
            del booked[fill.activity_id]
        elif way == 1:
            ours[number] = replace(ours[number], status="partially_filled")
        elif way == 2:
            ours[number] = replace(ours[number], terms={**(ours[number].terms or {}), "limit_price": "1"})
        elif way == 3:
            booked[fill.activity_id] = replace(booked[fill.activity_id], price=Decimal(1))
        else:
            gone.add(number)
            del booked[fill.activity_id]
    return gone


def measure(scale: Scale) -> list[Figure]:
    orders = [order_as_told(number, scale.orders) for number in range(scale.orders)]
    text = json.dumps(orders)
    record, evidence = sides(orders)
    del orders
    gc.collect()
    gc.freeze()  # what was made until here is not gone through again and again while the parser makes its lists
    found = 0
    taken: dict[str, list[float]] = {"compare": [], "parse": []}
    ways: dict[str, Callable[[], Any]] = {
        "compare": lambda: compare(record, evidence),
        "parse": lambda: json.loads(text),
    }
    for _ in range(min(scale.repetitions, 5)):
        for name, way in ways.items():
            gc.collect()
            start = time.process_time()
            made = way()
            taken[name].append(time.process_time() - start)
            found = len(made) if name == "compare" else found
            del made
    return [
        Figure(
            row="comparison alone",
            what=f"{scale.orders:,} orders and fills a side, {found:,} differences",
            value=min(taken["compare"]) * 1000,
            unit="ms",
            goal=GOAL,
            bound=min(taken["parse"]) * 1000,
            bound_what="json.loads of the same orders as Alpaca's JSON",
        )
    ]


if __name__ == "__main__":
    run_alone(measure)
