"""Put an empty installation into the state of that morning: the database before, Alpaca after."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction

from broker.models import Account
from orders.identity import OWN_PREFIX
from orders.models import Order
from positions.models import Adjustment
from positions.opening import book_opening_balance
from positions.parameters import ensure_default_parameters
from reconciliation.models import ReadingCursor
from tradingsite.incident.record import DayOrder, Incident, incident

ACTOR = "system:demo"
NOTICE = (
    "Demo: the day of 6 November 2025. Prices marked as estimated, and those of the two sells (FTNT, IBKR), are "
    "stand-ins: the record of that day does not have them."
)
REASON = "Held before the books were opened. The price is a stand-in: the record does not have it."
STANDIN_LABEL = "stand-in price"
#: Any fixed name space will do: the same order gets the same id in every demo.
_NAMESPACE = uuid.UUID("c7f4a9d2-30e5-4c55-9b3c-20251106aaaa")


def load_database(*, account: Account, now: datetime) -> bool:
    """Book what was held on the evening before. Once: an account that has anything in its books is left alone."""
    day = incident()
    with transaction.atomic():
        ensure_default_parameters(account)
        if Adjustment.objects.filter(account=account).exists() or Order.objects.filter(account=account).exists():
            return False
        for holding in day.holdings_before:
            book_opening_balance(
                account=account,
                symbol=holding.symbol,
                qty=holding.qty,
                price=holding.entry_price_standin,
                effective_at=day.books_opened_at,
                reason=REASON,
                is_estimated=True,
                actor=ACTOR,
                now=now,
            )
        # The books begin that morning: nothing older is asked for.
        ReadingCursor.objects.update_or_create(
            account=account,
            defaults={
                "orders_read_to": day.morning, "activities_read_to": day.morning, "import_finished_at": now,
            },
        )  # fmt: skip
        Account.objects.filter(pk=account.pk).update(notice=NOTICE)
    return True


def write_scenario(path: Path, *, key_id: str) -> Path:
    """Write what Alpaca knew after the execution, as a scenario document of the simulator."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(_scenario(incident(), key_id), indent=1))
    return draft.replace(path)


def _scenario(day: Incident, key_id: str) -> dict[str, Any]:
    held = [
        {"symbol": one.symbol, "qty": str(one.qty), "avg_entry_price": str(one.entry_price_standin)}
        for one in day.holdings_before
    ]
    pause = (day.execution_ended_at - day.execution_started_at) / len(day.orders)
    orders = [
        _order(order, number, day.execution_started_at + (number - 1) * pause)
        for number, order in enumerate(day.orders, start=1)
    ]
    account = {
        "created_at": _written(day.books_opened_at - timedelta(days=300)),
        "positions": held,
        "orders": orders,
    }
    return {"accounts": {key_id: account}}


def _order(order: DayOrder, number: int, submitted_at: datetime) -> dict[str, Any]:
    client_order_id = f"{OWN_PREFIX}20251106-{number:02}-{order.symbol.lower()}"
    row = {
        "id": str(uuid.uuid5(_NAMESPACE, client_order_id)),
        "client_order_id": client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "type": "market",
        "qty": str(order.qty),
        "status": "filled",
        "filled_avg_price": str(order.price),
        "submitted_at": _written(submitted_at),
        "filled_at": _written(submitted_at + timedelta(seconds=2)),
    }
    return row | ({"subtag": STANDIN_LABEL} if order.is_standin_price else {})


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
