from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from alerts.kinds import ALERT_KINDS
from alerts.listing import ALERTS, DELIVERIES, listed_alerts, listed_deliveries
from alerts.models import SEVERITIES, Alert, Channel, Delivery
from alerts.telling import Purpose
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def alert_list(request: HttpRequest) -> HttpResponseBase:
    rows = listed_alerts(request.GET)
    if wants_csv(request.GET):
        return ALERTS.csv("alerts", rows, request.GET)
    open_count = Alert.objects.filter(state=Alert.State.OPEN).count()
    context = {
        "listing": ALERTS.show(rows, request.GET),
        "tabs": [("", "All", Alert.objects.count()), ("open", "Open", open_count)],
        "current": request.GET.get("status", ""),
        "kinds": [(kind.value, facts.title) for kind, facts in ALERT_KINDS.items()],
        "severities": SEVERITIES,
        "channels": [(channel, channel.name in settings.ALERT_CHANNELS) for channel in Channel.objects.all()],
    }
    return render_page(request, "alerts/alert_list.html", "alerts/_alerts.html", context)


@require_GET
def delivery_list(request: HttpRequest) -> HttpResponseBase:
    rows = listed_deliveries(request.GET)
    if wants_csv(request.GET):
        return DELIVERIES.csv("deliveries", rows, request.GET)
    context = {
        "listing": DELIVERIES.show(rows, request.GET),
        "channels": Channel.objects.all(),
        "states": Delivery.State.choices,
        "purposes": [word.value for word in Purpose],
    }
    return render_page(request, "alerts/delivery_list.html", "alerts/_deliveries.html", context)
