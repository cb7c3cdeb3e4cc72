"""Find the few orders that can still change among the many that ended.

A condition that excludes statuses makes a database look at every row. Between two terminal statuses, in the order
of the alphabet, lie all the others: each of those gaps is a range of the index by status.
"""

from itertools import pairwise

from django.db.models import QuerySet

from broker.models import Account
from orders.lifecycle import IN_FLIGHT, TERMINAL_STATUSES, SubmissionState
from orders.models import Order


def alive_at_broker(account: Account) -> list[int]:
    """Primary keys of the orders that Alpaca has and that are not terminal."""
    mine = Order.objects.filter(account=account).order_by()
    ends = sorted(TERMINAL_STATUSES)
    # An order without a status is not at Alpaca.
    gaps = [mine.filter(status__gt=before, status__lt=after) for before, after in pairwise(["", *ends])]
    rows = [gap.values_list("pk", "submission_state") for gap in [*gaps, mine.filter(status__gt=ends[-1])]]
    return [pk for pk, state in rows[0].union(*rows[1:], all=True) if state == SubmissionState.CONFIRMED]


def working(account: Account) -> list[int]:
    """Primary keys of the orders that can still fill: alive at Alpaca, or in flight."""
    in_flight: QuerySet[Order, int] = Order.objects.filter(
        account=account, submission_state__in=sorted(IN_FLIGHT)
    ).values_list("pk", flat=True)
    return [*alive_at_broker(account), *in_flight.order_by()]
