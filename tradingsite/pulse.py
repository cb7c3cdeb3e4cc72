"""Has anything in the books changed? Pages ask twice a second, and refresh themselves when it has.

Cheaper than a held connection, which would pin one of the few threads that serve pages: two look-ups of a largest key.
"""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from audit.models import AuditEntry
from orders.models import OrderEvent


def books_version() -> str:
    """A text that changes with every booked state, fill and act of a person, of whichever account."""
    last = (model.objects.order_by("-pk").values_list("pk", flat=True).first() for model in (OrderEvent, AuditEntry))
    return ".".join(str(pk or 0) for pk in last)


@require_GET
@never_cache
def pulse(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(books_version(), content_type="text/plain")
