"""The day of 6 November 2025 as data: what the record has, and what stands in where it has nothing.

Every value under a key that ends in `_standin` is made up, and is labelled so wherever a person sees it.
"""

import json
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
FILE = Path(__file__).with_name("2025-11-06.json")


@dataclass(frozen=True)
class Holding:
    symbol: str
    qty: Decimal
    entry_price_standin: Decimal


@dataclass(frozen=True)
class DayOrder:
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    is_standin_price: bool


@dataclass(frozen=True)
class Incident:
    holdings_before: tuple[Holding, ...]
    orders: tuple[DayOrder, ...]
    #: The close of the day before: when the holdings are booked.
    books_opened_at: datetime
    morning: datetime
    execution_started_at: datetime
    execution_ended_at: datetime


@cache
def incident() -> Incident:
    document = json.loads(FILE.read_text())
    day = datetime.fromisoformat(document["session_date"]).replace(tzinfo=NEW_YORK)
    return Incident(
        holdings_before=tuple(
            Holding(row["symbol"], Decimal(row["qty"]), Decimal(row["entry_price_standin"]))
            for row in document["database_before"]["open_positions"]
        ),
        orders=tuple(_order(row) for row in document["broker_orders_of_the_day"]),
        books_opened_at=day.replace(day=day.day - 1, hour=16),
        morning=day,
        execution_started_at=_at(day, document["execution_started"]),
        execution_ended_at=_at(day, document["execution_ended"]),
    )


def _order(row: dict[str, str]) -> DayOrder:
    price = row.get("filled_avg_price") or row["filled_avg_price_standin"]
    return DayOrder(
        symbol=row["symbol"],
        side=row["side"],
        qty=Decimal(row["qty"]),
        price=Decimal(price),
        is_standin_price="filled_avg_price" not in row,
    )


def _at(day: datetime, clock: str) -> datetime:
    return datetime.combine(day.date(), time.fromisoformat(clock), tzinfo=NEW_YORK)
