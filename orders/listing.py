"""Orders as a list: which rows the query string asks for, and their columns."""

from functools import reduce
from itertools import product
from operator import or_

from django.db import connections
from django.db.models import Q, QuerySet
from django.http import QueryDict

from broker.models import Account
from orders.identity import OWN_PREFIX
from orders.lifecycle import IN_FLIGHT, TERMINAL_STATUSES, SubmissionState
from orders.models import Order
from ui.paging import Found, Unindexed
from ui.tables import Column, Table


def _listed(orders: "QuerySet[Order]") -> "QuerySet[Order]":
    """Raw answers are large and no list shows them."""
    return orders.defer("raw")


#: The newest first among orders that are equal in a word. Each word has its index with this behind it.
_BY_TIME = ("recorded_at",)

TABLE: Table[Order] = Table(
    in_database=True,
    has_chooser=True,
    default_sort="-recorded_at",
    details=_listed,
    columns=(
        Column(name="symbol", label="Symbol", sort_field="symbol", then=_BY_TIME, value=lambda o: o.symbol),
        Column(name="side", label="Side", sort_field="side", then=_BY_TIME, value=lambda o: o.side),
        Column(name="qty", label="Quantity", kind="number", sort_field="qty", is_decimal=True, value=lambda o: o.qty),
        Column(name="order_type", label="Type", sort_field="order_type", then=_BY_TIME, value=lambda o: o.order_type),
        Column(
            name="submission_state",
            label="Sending",
            sort_field="submission_state",
            then=_BY_TIME,
            value=lambda o: o.submission_state,
            about="What we know of our own sending",
        ),
        Column(
            name="status",
            label="At Alpaca",
            sort_field="status",
            then=_BY_TIME,
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
        Column(name="time_in_force", label="Time in force", is_extra=True, value=lambda o: o.time_in_force),
        Column(name="notional", value=lambda o: o.notional),
        Column(name="limit_price", value=lambda o: o.limit_price),
        Column(name="stop_price", value=lambda o: o.stop_price),
        Column(name="leaves_qty", label="Can still fill", kind="number", is_extra=True, value=lambda o: o.leaves_qty),
        Column(name="client_order_id", label="Our id", is_extra=True, value=lambda o: o.client_order_id),
        Column(name="broker_order_id", label="Alpaca's id", is_extra=True, value=lambda o: o.broker_order_id),
        Column(
            name="submitted_at",
            label="Submitted",
            kind="time",
            is_extra=True,
            sort_field="submitted_at",
            value=lambda o: o.submitted_at,
        ),
        Column(name="filled_at", label="Filled at", kind="time", is_extra=True, value=lambda o: o.filled_at),
        Column(name="canceled_at", value=lambda o: o.canceled_at),
        Column(name="origin", label="Origin", is_extra=True, value=lambda o: o.origin),
        Column(name="refusal", label="Why it was refused", is_extra=True, value=lambda o: o.refusal),
    ),
)


def listed_orders(account: Account, params: QueryDict) -> Found[Order]:
    """Return the orders that ?status=, ?submission_state=, ?symbol= (exact), ?batch= and ?q= leave.

    ?q= is a symbol or the beginning of an id; what all our own ids begin with may be left out.
    """
    every = Order.objects.filter(account=account).alias(
        seen_status=Unindexed("status"), seen_state=Unindexed("submission_state")
    )
    orders = every
    if symbol := params.get("symbol", "").strip():
        orders = orders.filter(symbol=symbol.upper())
    if batch := params.get("batch", "").strip():
        orders = orders.filter(batch_id=int(batch)) if batch.isdecimal() and len(batch) < 16 else orders.none()
    searches = _searches(params.get("q", "").strip())
    # What names few orders finds them; the states, which many share, are then only looked at.
    is_narrow = orders is not every or searches != [Q()]
    status, state = params.get("status"), params.get("submission_state")
    if status and status != "working":
        orders = orders.filter(seen_status=status) if is_narrow else orders.filter(status=status)
    if state:
        orders = orders.filter(seen_state=state) if is_narrow or status else orders.filter(submission_state=state)
    states = _working(account) if status == "working" else [Q()]
    parts = tuple(orders.filter(search, state) for search, state in product(searches, states))
    return Found(orders.filter(reduce(or_, searches), reduce(or_, states)), parts)


def _searches(text: str) -> list[Q]:
    """What a text may mean: conditions of which an index answers each, and no two the same order."""
    if not text:
        return [Q()]
    meanings = [Q(symbol=text.upper()), Q(client_order_id__begins=text), Q(broker_order_id__begins=text.lower())]
    if not text.startswith(OWN_PREFIX):
        meanings.append(Q(client_order_id__begins=f"{OWN_PREFIX}{text}"))
    return [
        reduce(lambda wanted, had: wanted & ~had, meanings[:place], meaning) for place, meaning in enumerate(meanings)
    ]


def _working(account: Account) -> list[Q]:
    """Orders that can still fill. Alpaca's words are asked for: an index finds a word, not the absence of others."""
    words = [word for word in status_choices(account) if word not in TERMINAL_STATUSES]
    return [Q(submission_state__in=IN_FLIGHT), Q(status__in=words, seen_state=SubmissionState.CONFIRMED)]


_WORDS = """
    WITH RECURSIVE words(word) AS (
        SELECT MIN(status) FROM orders_order WHERE account_id = %s AND status > ''
        UNION ALL
        SELECT (SELECT MIN(status) FROM orders_order WHERE account_id = %s AND status > words.word)
        FROM words WHERE words.word IS NOT NULL
    )
    SELECT word FROM words WHERE word IS NOT NULL
"""


def status_choices(account: Account) -> list[str]:
    """The words of Alpaca that occur, known to us or not.

    A DISTINCT reads every order of the account; this goes from word to word in the index.
    """
    with connections[Order.objects.db].cursor() as cursor:
        cursor.execute(_WORDS, [account.pk, account.pk])
        return [word for (word,) in cursor.fetchall()]


def submission_choices() -> list[tuple[str, str]]:
    return [(state.value, state.label) for state in SubmissionState]
