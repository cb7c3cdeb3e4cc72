from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from audit.listing import TABLE, action_choices, listed_entries
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def entry_list(request: HttpRequest) -> HttpResponseBase:
    entries = listed_entries(request.GET)
    if wants_csv(request.GET):
        return TABLE.csv("audit", entries, request.GET)
    context = {"listing": TABLE.show(entries, request.GET), "actions": action_choices()}
    return render_page(request, "audit/entry_list.html", "audit/_entries.html", context)
