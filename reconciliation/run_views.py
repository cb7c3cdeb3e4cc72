"""The pages of runs: the list, one run with its proof and report, and its picture."""

from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from orders.account_choice import chosen_account, show_account
from reconciliation import run_pages as pages
from reconciliation.kind_guide import guides
from reconciliation.listing import JUDGED, RUNS, listed_runs, seconds_of, severities_of
from reconciliation.models import Run, RunSnapshot
from reconciliation.report import as_document, as_html, as_markdown, build_report
from reconciliation.report_csv import as_csv
from ui.htmx import render_page
from ui.tables import wants_csv


class Shown(NamedTuple):
    """What a line of the list says beyond its columns."""

    is_judged: bool
    seconds: str
    severities: list[tuple[str, int]]


@require_GET
def runs(request: HttpRequest) -> HttpResponseBase:
    account = chosen_account(request)
    listed = listed_runs(account, request.GET)
    if wants_csv(request.GET):
        return RUNS.csv("runs", listed, request.GET)
    listing = RUNS.show(listed, request.GET)
    context = {
        "listing": listing,
        "shown": {run.pk: Shown(run.state in JUDGED, seconds_of(run), severities_of(run)) for run in listing.rows},
        "states": Run.State.choices,
        "triggers": Run.Trigger.choices,
    }
    return render_page(request, "reconciliation/runs.html", "reconciliation/_runs.html", context)


@require_GET
def run(request: HttpRequest, run_id: int) -> HttpResponseBase:
    run = get_object_or_404(Run.objects.select_related("account"), pk=run_id)
    show_account(request, run.account)
    match request.GET.get("format", ""):
        case "md":
            return HttpResponse(as_markdown(build_report(run)), content_type="text/markdown; charset=utf-8")
        case "html":
            return HttpResponse(as_html(build_report(run)))
        case "csv":
            return as_csv(build_report(run))
        case "json":
            return JsonResponse(as_document(build_report(run)), json_dumps_params={"indent": 2})
    return render_page(request, "reconciliation/run.html", "reconciliation/_run.html", pages.run_context(run))


@require_GET
def picture(request: HttpRequest, run_id: int) -> HttpResponse:
    run = get_object_or_404(Run.objects.select_related("account"), pk=run_id)
    show_account(request, run.account)
    context = pages.picture_context(run, RunSnapshot.objects.filter(run=run).first(), request.GET)
    return render_page(request, "reconciliation/picture.html", "reconciliation/_picture.html", context)


@require_GET
def kinds(request: HttpRequest) -> HttpResponse:
    """What every kind of difference means, and what repairs it."""
    return render(request, "reconciliation/kinds.html", {"groups": guides()})
