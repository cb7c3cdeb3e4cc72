from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from audit.changes import changes
from audit.listing import TABLE, action_choices, listed_entries
from audit.models import AuditEntry
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def entry_list(request: HttpRequest) -> HttpResponseBase:
    entries = listed_entries(request.GET)
    if wants_csv(request.GET):
        return TABLE.csv("audit", entries, request.GET)
    context = {"listing": TABLE.show(entries, request.GET), "actions": action_choices()}
    return render_page(request, "audit/entry_list.html", "audit/_entries.html", context)


@require_GET
def entry(request: HttpRequest, entry_id: int) -> HttpResponse:
    found = get_object_or_404(AuditEntry.objects.select_related("link"), pk=entry_id)
    rows = changes(found.before, found.after)
    context = {
        "entry": found,
        "changes": rows,
        "same": sum(not row.is_changed for row in rows),
        "others": AuditEntry.objects.filter(subject_type=found.subject_type, subject_id=found.subject_id)
        .exclude(pk=found.pk)
        .order_by("-at", "-pk")[:20]
        if found.subject_id
        else [],
    }
    return render(request, "audit/entry.html", context)
