"""The lines of a batch that came to nothing, as a file that can be checked and sent anew.

Denied and rejected ones certainly are no orders. One that is NOT_PLACED is better sent again under its own id
(orders/sending_again.py); only where its batch was halted, so that this cannot be, it is among these. One whose
outcome is not known never is.
"""

from django.db.models import QuerySet

from orders.batch_file import as_csv
from orders.lifecycle import SubmissionState
from orders.models import Batch, Order
from orders.sending_again import line_of


def unsent_orders(batch: Batch) -> "QuerySet[Order]":
    states = [SubmissionState.DENIED, SubmissionState.REJECTED]
    if batch.state == Batch.State.HALTED:
        states.append(SubmissionState.NOT_PLACED)
    return batch.orders.filter(submission_state__in=states).order_by("line_number", "pk").defer("raw")


def unsent_file(batch: Batch) -> tuple[str, bytes]:
    """Return name and content of the file."""
    stem = batch.name.rsplit(".", 1)[0].removesuffix("-unsent")
    return f"{stem[:180]}-unsent.csv", as_csv(line_of(order) for order in unsent_orders(batch)).encode()
