"""Orders at the simulator that rest until a test fills them, and a follower of the stream in a thread or a process."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone

from broker.gateway import open_gateway
from broker.models import Account, StreamState
from orders.booking import import_order
from orders.models import Order
from orders.stream_following import follow_stream
from tests.databases import address_in_use
from tests.simulation import ROOT, SimAccount, wait_for


def place(sim: SimAccount, account: Account, *, qty: int = 10, **fields: Any) -> Order:
    """Place a limit order that nothing fills by itself, and book it as ours."""
    client_order_id = f"stream-{uuid.uuid4().hex[:12]}"
    document = {"symbol": "AAPL", "qty": str(qty), "side": "buy", "type": "limit", "limit_price": "1.00"}
    document |= {"time_in_force": "gtc", "client_order_id": client_order_id, **fields}
    sim.api("POST", "/v2/orders", json=document)
    sim.wait_for_status(client_order_id, "new")
    facts = open_gateway(account).get_order_by_client_id(client_order_id)
    order = import_order(account=account, facts=facts, origin="batch", now=timezone.now(), actor="test")
    Order.objects.filter(pk=order.pk).update(followed_at=timezone.now())  # the sweep comes in its time
    return order


def fill(sim: SimAccount, order: Order, *, qty: int | None = None, price: str = "1.00") -> None:
    amount = {"qty": str(qty)} if qty else {}
    sim.act("fill", order_id=order.broker_order_id, price=price, **amount)


def booked_qty(order: Order) -> Decimal:
    return sum(order.fills.values_list("qty", flat=True), Decimal(0))


def wait_booked(order: Order, qty: int | None = None, *, seconds: float = 15) -> None:
    """Wait until all of the order, or so much of it, is in the books, with the status that goes with it."""
    wanted = Decimal(qty) if qty else order.qty

    def look() -> bool:
        order.refresh_from_db()
        return booked_qty(order) == order.filled_qty == wanted

    wait_for(look, f"{wanted} filled of order {order.pk}", seconds=seconds)


def state_of(account: Account) -> StreamState | None:
    return StreamState.objects.filter(account=account).first()


def wait_live(account: Account, *, since: datetime | None = None, seconds: float = 30) -> StreamState:
    """Wait until it is connected, again if `since` is given, and what was missed before is read."""

    def look() -> StreamState | None:
        state = state_of(account)
        if state is None or state.connected_at is None or state.gap_since is not None:
            return None
        return state if since is None or state.connected_at > since else None

    return wait_for(look, "a live stream", seconds=seconds)


@contextmanager
def following(account: Account, **options: Any) -> Iterator[None]:
    """Follow in a thread of this process until the block ends."""
    stop, failure = threading.Event(), []

    def run() -> None:
        try:
            follow_stream(account=account, stop=stop, **options)
        except Exception as error:
            failure.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_live(account)
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert failure == []


def start_stream(sim: SimAccount, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`manage.py stream` as a process of its own on the test's database."""
    given = {"DATABASE_URL": address_in_use(), "DATA_DIR": str(settings.DATA_DIR)}
    given |= {"DJANGO_SETTINGS_MODULE": "tradingsite.settings", **sim.environment, **environment}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "stream", *arguments],
        cwd=ROOT, env=os.environ | given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
