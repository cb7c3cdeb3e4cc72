"""The insight page: what the differences of the last days tell."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from broker.times import NEW_YORK
from orders.account_choice import chosen_account
from reconciliation.insight import (
    Sighting,
    Story,
    by_day,
    by_kind,
    days_until,
    ends_of,
    spread_of,
    worst_symbols,
)
from reconciliation.models import Run
from reconciliation.sightings import TABLE, sightings_since
from ui.charts import Bars, bar_chart
from ui.htmx import render_page
from ui.tables import wants_csv

PERIODS = (7, 30, 90)
USUAL_PERIOD = 30
_TONES = ("bad", "warn", "accent", "ok", "mute")


@require_GET
def insight(request: HttpRequest) -> HttpResponseBase:
    account, number = chosen_account(request), _period(request)
    days = days_until(timezone.now().astimezone(NEW_YORK).date(), number)
    sightings = sightings_since(account, datetime.combine(days[0], time.min, NEW_YORK))
    if wants_csv(request.GET):
        return TABLE.csv(f"insight-{number}-days", sightings, request.GET)
    in_books = [sighting for sighting in sightings if not sighting.is_of_evidence]
    worst = worst_symbols(sightings)
    context = {
        "days": number,
        "periods": PERIODS,
        "count": len(sightings),
        "failed_reads": len(sightings) - len(in_books),
        "has_runs": Run.objects.filter(account=account).finished().exists(),
        "detection": spread_of(sighting.detection for sighting in in_books),
        "repair": spread_of(sighting.repair for sighting in in_books),
        "ends": ends_of(sightings),
        "kinds": by_kind(sightings),
        "worst": worst,
        "drift_chart": _drift_chart(sightings, days),
        "worst_chart": _worst_chart(worst),
    }
    return render_page(request, "reconciliation/insight.html", "reconciliation/_insight.html", context)


def _period(request: HttpRequest) -> int:
    """?days= is one of those offered; anything else means the usual one."""
    asked = request.GET.get("days", "")
    return int(asked) if asked in {str(period) for period in PERIODS} else USUAL_PERIOD


def _drift_chart(sightings: Sequence[Sighting], days: Sequence[date]) -> SafeString:
    counted = by_day(sightings, days)
    series = [
        Bars(name, [Decimal(count) for count in counts], tone)
        for (name, counts), tone in zip(counted, _TONES, strict=False)
    ]
    return bar_chart(
        title="Causes of difference by the day they were first seen",
        unit="causes",
        categories=[f"{day:%m-%d}" for day in days],
        series=series,
        summary=f"{len(sightings)} in {len(days)} days, New York time.",
        key="insight-drift",
    )


def _worst_chart(worst: Sequence[Story]) -> SafeString:
    return bar_chart(
        title="Symbols with the most causes",
        unit="causes",
        categories=[story.name for story in worst],
        series=[
            Bars("Ended", [Decimal(story.count - story.still_open) for story in worst], "ok"),
            Bars("Still open", [Decimal(story.still_open) for story in worst], "bad"),
        ],
        summary=f"The {len(worst)} worst." if len(worst) > 1 else "",
        key="insight-worst",
    )
