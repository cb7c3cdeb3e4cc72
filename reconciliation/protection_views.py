"""The protection board's page."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from orders.account_choice import chosen_account
from reconciliation.protection import Coverage
from reconciliation.protection_board import TABLE, listed, live_stop, live_target, protection_board
from ui.htmx import render_page
from ui.tables import wants_csv

LABELS = {
    Coverage.NAKED: "Naked",
    Coverage.PARTLY: "Partly covered",
    Coverage.UNKNOWN: "Unknown",
    Coverage.WRONG: "Off plan",
    Coverage.COVERED: "Covered",
}
TONES = {
    Coverage.NAKED: "bad",
    Coverage.PARTLY: "warn",
    Coverage.UNKNOWN: "mute",
    Coverage.WRONG: "info",
    Coverage.COVERED: "ok",
}


@require_GET
def board(request: HttpRequest) -> HttpResponseBase:
    found = protection_board(chosen_account(request), timezone.now())
    rows = listed(found.rows, request.GET)
    if wants_csv(request.GET):
        return TABLE.csv("protection", rows, request.GET)
    listing = TABLE.show(rows, request.GET, page_size=100)
    context = {
        "board": found,
        "listing": listing,
        "lines": [(row, live_stop(row), live_target(row)) for row in listing.rows],
        "labels": LABELS,
        "tones": TONES,
        "bar": [(share, LABELS[share.coverage], TONES[share.coverage]) for share in found.totals.shares],
        "tabs": [
            ("", "All", len(found.rows)),
            *((coverage.value, LABELS[coverage], found.totals.count_of(coverage)) for coverage in Coverage),
        ],
        "status": request.GET.get("status", ""),
    }
    return render_page(request, "reconciliation/protection.html", "reconciliation/_protection.html", context)
