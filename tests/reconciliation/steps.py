"""Steps that the tests of real runs share."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from broker.gateway import open_gateway
from broker.mapping import to_activity, to_order
from broker.models import Account
from broker.types import BrokerFill
from orders.booking import book_fill, import_order
from orders.models import Fill, Order, OrderEvent
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.applying import Applied, apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.models import Drift, Fix, ReadingCursor, Run
from reconciliation.running import run_reconciliation
from tests.simulation import SimAccount


def open_books(account: Account) -> None:
    """Books that were opened yesterday and are empty: nothing is imported, everything new is compared."""
    yesterday = timezone.now() - timedelta(days=1)
    ReadingCursor.objects.update_or_create(
        account=account,
        defaults={
            "orders_read_to": yesterday,
            "activities_read_to": yesterday,
            "import_finished_at": yesterday,
        },
    )


def reconcile(account: Account, **options: Any) -> Run:
    account.refresh_from_db()
    return run_reconciliation(account=account, trigger=Run.Trigger.DEMAND, requested_by="test", **options)


def open_roots(account: Account) -> list[Drift]:
    return list(Drift.objects.filter(account=account).open().roots())


def kinds(account: Account) -> dict[str, list[str]]:
    """Open root kinds with the kinds of their consequences."""
    return {
        root.kind: sorted(root.consequences.filter(state="open").values_list("kind", flat=True))
        for root in open_roots(account)
    }


def backfill_all(account: Account, *, actor: str = "ops") -> Applied:
    fixes = Fix.objects.filter(account=account, acts_at_broker=False).proposed()
    approve_fixes(fixes=fixes, actor=actor, now=timezone.now())
    return apply_approved(account=account, actor=actor)


def placed(
    sim: SimAccount, *, client_order_id: str | None = None, wait: str = "filled", **fields: Any
) -> dict[str, Any]:
    """An order at Alpaca: from outside, or under one of our ids; waits until it has the status."""
    body = {"symbol": "QCOM", "side": "buy", "qty": "10", "type": "market", "time_in_force": "day", **fields}
    if client_order_id is None:
        order = sim.manual_order(**body)
        client_order_id = order["client_order_id"]
    else:
        order = sim.api("POST", "/v2/orders", json={**body, "client_order_id": client_order_id})
        assert "id" in order, order
    return sim.wait_for_status(str(client_order_id), wait) if wait else order


def record_as(account: Account, sim: SimAccount, raw: dict[str, Any], *, with_fills: bool = True) -> Order:
    """Record an order as Alpaca shows it now, so that a test can go on from equal sides."""
    now = timezone.now()
    order = import_order(account=account, facts=to_order(raw), origin="batch", now=now, actor="test")
    if with_fills:
        for activity in sim.api("GET", "/v2/account/activities/FILL", params={"order_id": raw["id"]}):
            fill = to_activity(activity)
            assert isinstance(fill, BrokerFill)
            book_fill(order=order, fill=fill, now=now, actor="test")
    rebuild_positions(account=account, symbols={order.symbol}, now=now)
    return order


def broker_positions(account: Account) -> dict[str, str]:
    return {position.symbol: str(position.qty) for position in open_gateway(account).list_positions()}


_NOT_OF_THE_BOOKS = {"id", "rebuilt_at", "last_price", "last_price_at"}
_POSITION_FIELDS = [f.attname for f in Position._meta.concrete_fields if f.attname not in _NOT_OF_THE_BOOKS]


def books() -> dict[str, Any]:
    """Everything that the books say; two of them are equal if nobody could tell them apart."""
    rows = {m.__name__: list(m.objects.order_by("pk").values()) for m in (Order, Fill, Adjustment, OrderEvent)}
    rows["Position"] = list(Position.objects.order_by("symbol", "sequence").values(*_POSITION_FIELDS))
    return rows
