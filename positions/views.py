from django.db.models import Count
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from broker.models import Account
from orders.account_choice import chosen_account
from positions.adding_up import oldest_price, totals
from positions.listing import STATUSES, position_rows, table_for
from positions.models import Position
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def position_list(request: HttpRequest) -> HttpResponseBase:
    account = chosen_account(request)
    status = request.GET.get("status", "")
    table, rows = table_for(status), position_rows(account, request.GET, now=timezone.now())
    if wants_csv(request.GET):
        return table.csv("positions", rows, request.GET)
    context = {
        "listing": table.show(rows, request.GET),
        "totals": totals(rows),
        "prices_at": oldest_price(rows),
        "tabs": _tabs(account),
        "status": status,
    }
    return render_page(request, "positions/position_list.html", "positions/_positions.html", context)


def _tabs(account: Account) -> list[tuple[str, str, int]]:
    """The tabs over the list: value of ?status=, label, count."""
    found = Position.objects.filter(account=account).values_list("state").annotate(count=Count("pk")).order_by()
    counts: dict[str, int] = dict(found)
    return [
        *((status, status.capitalize(), counts.get(status, 0)) for status in STATUSES),
        ("", "All", sum(counts.values())),
    ]
