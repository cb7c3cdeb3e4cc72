"""Batches of orders for the simulator, recorded and released like any other."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from broker.models import Account
from orders.batch_file import content_digest, read_batch_file
from orders.checking import CheckedBatch
from orders.models import Batch, Order
from orders.recording import record_batch
from orders.releasing import release_batch
from orders.settling import settle_orders
from tests.simulation import SimAccount, wait_for

SEVEN = "symbol,side,qty\n" + "".join(f"{s},buy,2\n" for s in ("AAPL", "MSFT", "F", "KO", "QCOM", "APH", "BMY"))
ONE = "symbol,side,qty\nAAPL,buy,10\n"


def checked(text: str, name: str = "orders.csv") -> CheckedBatch:
    """Return the lines of a good file as if Alpaca had been asked about them."""
    file = read_batch_file(text.encode(), name, max_bytes=10**6, max_lines=1000)
    assert file.errors == ()
    return CheckedBatch(name=name, source="csv", lines=file.lines, digest=content_digest(file.lines))


def record(account: Account, text: str = ONE, **given: Any) -> Batch:
    given = {"now": timezone.now(), "scheduled_for": None, **given}
    return record_batch(account=account, checked=checked(text), actor="ops", **given)


def release(account: Account, text: str = ONE) -> Batch:
    batch = record(account, text)
    release_batch(batch=batch, actor="ops", now=timezone.now())
    return batch


def settle_until(batch: Batch, done: Callable[[], object], *, seconds: float = 20) -> None:
    """Let the sweep run like the worker's ticker does, until it is done."""

    def look() -> object:
        settle_orders(account_id=batch.account_id, now=timezone.now())
        return done()

    wait_for(look, f"the settling of batch {batch.pk}", seconds=seconds)


def states(batch: Batch) -> set[str]:
    return set(batch.orders.values_list("submission_state", flat=True))


def only_order(batch: Batch) -> Order:
    return batch.orders.get()


def orders_at_broker(sim: SimAccount) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sim.api("GET", "/v2/orders", params={"status": "all", "limit": 500})
    return rows


def posts(sim: SimAccount) -> list[dict[str, Any]]:
    return sim.requests("POST", "/v2/orders")


@pytest.fixture
def quick_settling(settings: Any) -> None:
    """Proof of absence within a second instead of half a minute."""
    settings.NOT_PLACED_AFTER_SECONDS = 0.5
    settings.NOT_PLACED_LOOKUPS = 2


@pytest.fixture
def now() -> datetime:
    return timezone.now()
