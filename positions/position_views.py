"""The page of one position and the parts of it that refresh by themselves."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from broker.numbers import plain
from orders.account_choice import show_account
from positions.crossing import told_of
from positions.ledger_lines import LedgerLine, ledger_lines
from positions.models import Position, RiskParameters
from positions.position_page import history_of, recent_orders
from positions.price_chart import TIMEFRAMES, price_chart, timeframe_of
from positions.protecting import trouble_of
from positions.what_if import WhatIf
from positions.what_if_form import WhatIfForm, can_be_parameters
from ui.htmx import render_page, wants_fragment


@require_GET
def position(request: HttpRequest, position_id: int) -> HttpResponse:
    found = _find(request, position_id)
    if wants_fragment(request):
        return render(request, "positions/_position.html", _standing(found))
    context = {**_standing(found), **_history(request, found), **_what_if(request, found, is_asked=False)}
    context |= _chart(request, found, context["ledger"])
    return render(request, "positions/position.html", context)


@require_GET
def history(request: HttpRequest, position_id: int) -> HttpResponse:
    """The lower half of the page, refreshed by itself."""
    found = _find(request, position_id)
    if not wants_fragment(request):
        return redirect(found)
    return render(request, "positions/_history.html", {"position": found, **_history(request, found)})


@require_GET
def chart(request: HttpRequest, position_id: int) -> HttpResponse:
    """The price chart, refreshed by itself and redrawn for another timeframe."""
    found = _find(request, position_id)
    if not wants_fragment(request):
        return redirect(found)
    context = {"position": found, **_chart(request, found, ledger_lines(found))}
    return render(request, "positions/_chart.html", context)


@require_GET
def what_if(request: HttpRequest, position_id: int) -> HttpResponse:
    """What another stop and target would mean. Changes nothing, and works as a page of its own."""
    found = _find(request, position_id)
    context = {"position": found, **_what_if(request, found, is_asked=True)}
    return render_page(request, "positions/what_if.html", "positions/_what_if_result.html", context)


def _find(request: HttpRequest, position_id: int) -> Position:
    found: Position = get_object_or_404(Position.objects.select_related("account"), pk=position_id)
    show_account(request, found.account)
    return found


def _standing(position: Position) -> dict[str, Any]:
    drifts = position.account.drifts.filter(state="open", symbol=position.symbol)
    trouble = trouble_of(position, timezone.now())
    return {"position": position, "drifts": drifts, "crossings": told_of(position), "trouble": trouble}


def _chart(request: HttpRequest, position: Position, ledger: Sequence[LedgerLine]) -> dict[str, Any]:
    timeframe = timeframe_of(request.GET.get("timeframe", ""))
    drawn = price_chart(position, ledger, timeframe)
    return {"price_chart": drawn, "timeframe": timeframe, "timeframes": TIMEFRAMES}


def _history(request: HttpRequest, position: Position) -> dict[str, Any]:
    found = history_of(position)
    links = {}
    if _may_change_parameters(request):
        links = {
            source.row_id: reverse("admin:positions_riskparameters_change", args=[source.row_id])
            for source in found.sources
            if source.row_id
        }
    return {
        "timeline": found.timeline,
        "ledger": found.ledger,
        "sources": found.sources,
        "source_links": links,
        "round_trips": found.round_trips,
        "orders": recent_orders(position),
    }


def _may_change_parameters(request: HttpRequest) -> bool:
    user = request.user
    return user.is_staff and user.has_perms(["positions.add_riskparameters", "positions.change_riskparameters"])


def _what_if(request: HttpRequest, position: Position, *, is_asked: bool) -> dict[str, Any]:
    if not position.is_open:
        return {}
    names = WhatIfForm.base_fields
    form = WhatIfForm(request.GET if is_asked and request.GET.keys() & names else None, position=position)
    if form.is_bound and not form.is_valid():
        return {"what_if_form": form}
    snapshot = position.account.snapshots.order_by("-read_at").first()
    result = form.result(equity=snapshot.equity if snapshot else None)
    href = _admin_href(position, result) if _may_change_parameters(request) and form.is_bound else ""
    return {
        "what_if_form": form,
        "what_if": result,
        "can_be_parameters": can_be_parameters(form, result.after),
        "save_href": href,
    }


def _admin_href(position: Position, result: WhatIf) -> str:
    """Return where these percentages become the symbol's own parameters, filled in already."""
    values: dict[str, str | int] = {
        "stop_loss_pct": plain(result.after.stop_loss_pct) or "",
        "target_pct": plain(result.after.target_pct) or "",
    }
    own = RiskParameters.objects.filter(account=position.account, symbol=position.symbol).first()
    if own is not None:
        return f"{reverse('admin:positions_riskparameters_change', args=[own.pk])}?{urlencode(values)}"
    new = {"account": position.account_id, "symbol": position.symbol, **values}
    return f"{reverse('admin:positions_riskparameters_add')}?{urlencode(new)}"
