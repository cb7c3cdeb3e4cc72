"""The daily reports: the list, one of them, and the same as a file."""

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from alerts.listing import REPORTS, listed_reports
from alerts.models import DailyReport, Delivery
from orders.account_choice import chosen_account, show_account
from ui.htmx import render_page
from ui.tables import wants_csv

_FORMATS = {"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8"}


@require_GET
def report_list(request: HttpRequest) -> HttpResponseBase:
    """Those of the account that is shown. ?day= leads to the one of that day, as messages do."""
    rows = listed_reports(chosen_account(request))
    if day := _day(request.GET.get("day", "")):
        return redirect(get_object_or_404(rows, day=day))
    if wants_csv(request.GET):
        return REPORTS.csv("reports", rows, request.GET)
    context = {"listing": REPORTS.show(rows, request.GET)}
    return render_page(request, "alerts/report_list.html", "alerts/_reports.html", context)


@require_GET
def report(request: HttpRequest, report_id: int) -> HttpResponse:
    found = get_object_or_404(DailyReport.objects.select_related("account"), pk=report_id)
    wanted = request.GET.get("format", "")
    if wanted in _FORMATS:
        text = found.markdown if wanted == "md" else found.html
        name = f"report-{found.account.slug}-{found.day}.{wanted}"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(text, content_type=_FORMATS[wanted], headers=disposition)
    show_account(request, found.account)
    sent = Delivery.objects.filter(report=found).select_related("channel").order_by("channel__name")
    return render(request, "alerts/report.html", {"report": found, "facts": found.facts, "deliveries": sent})


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
