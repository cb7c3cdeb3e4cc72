"""Orders as a list: which rows the query string asks for, and their columns."""

from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet
from django.http import QueryDict

from broker.models import Account
from orders.lifecycle import SubmissionState
from orders.models import Order
from ui.tables import Column, Table

if TYPE_CHECKING:
    from django_stubs_ext import ValuesQuerySet

#: Raw answers are large and no list shows them.
_NOT_LISTED = ("raw",)

TABLE: Table[Order] = Table(
    in_database=True,
    default_sort="-recorded_at",
    columns=(
        Column(name="symbol", label="Symbol", sort_field="symbol", value=lambda o: o.symbol),
        Column(name="side", label="Side", sort_field="side", value=lambda o: o.side),
        Column(name="qty", label="Quantity", kind="number", sort_field="qty", is_decimal=True, value=lambda o: o.qty),
        Column(name="order_type", label="Type", sort_field="order_type", value=lambda o: o.order_type),
        Column(
            name="submission_state",
            label="Sending",
            sort_field="submission_state",
            value=lambda o: o.submission_state,
            about="What we know of our own sending",
        ),
        Column(
            name="status",
            label="At Alpaca",
            sort_field="status",
            value=lambda o: o.status,
            about="Alpaca's own word, as it came",
        ),
        Column(
            name="filled_qty",
            label="Filled",
            kind="number",
            sort_field="filled_qty",
            is_decimal=True,
            value=lambda o: o.filled_qty,
        ),
        Column(
            name="filled_avg_price",
            label="Average (USD)",
            kind="number",
            sort_field="filled_avg_price",
            is_decimal=True,
            value=lambda o: o.filled_avg_price,
        ),
        Column(name="batch", label="Batch", sort_field="batch_id", value=lambda o: o.batch_id),
        Column(
            name="recorded_at", label="Recorded", kind="time", sort_field="recorded_at", value=lambda o: o.recorded_at
        ),
        Column(name="time_in_force", value=lambda o: o.time_in_force),
        Column(name="notional", value=lambda o: o.notional),
        Column(name="limit_price", value=lambda o: o.limit_price),
        Column(name="stop_price", value=lambda o: o.stop_price),
        Column(name="leaves_qty", value=lambda o: o.leaves_qty),
        Column(name="client_order_id", value=lambda o: o.client_order_id),
        Column(name="broker_order_id", value=lambda o: o.broker_order_id),
        Column(name="submitted_at", value=lambda o: o.submitted_at),
        Column(name="filled_at", value=lambda o: o.filled_at),
        Column(name="canceled_at", value=lambda o: o.canceled_at),
        Column(name="origin", value=lambda o: o.origin),
        Column(name="refusal", value=lambda o: o.refusal),
    ),
)


def listed_orders(account: Account, params: QueryDict) -> "QuerySet[Order]":
    """Return the orders that ?status=, ?submission_state=, ?symbol= (exact), ?batch= and ?q= (part of an id) leave."""
    orders = Order.objects.filter(account=account).defer(*_NOT_LISTED)
    if status := params.get("status"):
        orders = orders.working() if status == "working" else orders.filter(status=status)
    if state := params.get("submission_state"):
        orders = orders.filter(submission_state=state)
    if symbol := params.get("symbol", "").strip():
        orders = orders.filter(symbol=symbol.upper())
    if batch := params.get("batch", "").strip():
        orders = orders.filter(batch_id=int(batch)) if batch.isdecimal() and len(batch) < 16 else orders.none()
    if part := params.get("q", "").strip():
        orders = orders.filter(
            Q(symbol__iexact=part) | Q(client_order_id__icontains=part) | Q(broker_order_id__icontains=part)
        )
    return orders


def status_choices(account: Account) -> "ValuesQuerySet[Order, str]":
    """The words of Alpaca that occur, known to us or not. Lazy: a refresh does not show them."""
    found = Order.objects.filter(account=account).exclude(status="")
    return found.order_by("status").values_list("status", flat=True).distinct()


def submission_choices() -> list[tuple[str, str]]:
    return [(state.value, state.label) for state in SubmissionState]
