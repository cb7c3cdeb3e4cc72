"""The pages that look across all apps: overview, system, the status strip, the kill switch."""

import platform
from collections.abc import Callable
from importlib.metadata import version

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from broker.models import RequestBudget
from orders import halting
from orders.account_choice import chosen_account
from orders.errors import OrdersError
from positions.models import Position
from reconciliation.models import Drift, Fix
from tradingsite import vital_signs
from tradingsite.database_facts import database_facts
from tradingsite.standing import batches_of_today, drift_groups, has_history, held_in, money_of
from ui.htmx import redirect_to, render_page

SHOWN_DRIFTS = 8
PACKAGES = ("Django", "django-q2", "alpaca-py", "django-htmx")


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    money = money_of(account.snapshots.order_by("-read_at").first())
    drifts = Drift.objects.filter(account=account).open().roots()
    groups = drift_groups(account)
    positions = Position.objects.filter(account=account).not_closed()
    context = {
        "money": money,
        "held": held_in(positions, money.equity if money else None),
        "drifts": list(drifts.order_by("-last_seen_at", "id")[:SHOWN_DRIFTS]),
        "drift_count": sum(group.count for group in groups),
        "drift_groups": groups,
        "proposed_fixes": Fix.objects.filter(account=account).proposed().count(),
        "batches": batches_of_today(account, now),
        "signs": vital_signs.signs_of_life(now),
        "queue": vital_signs.read_queue(now),
        "is_empty": money is None and not has_history(account),
    }
    return render_page(request, "overview/overview.html", "overview/_overview.html", context)


@require_GET
def system(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    context = {
        "signs": vital_signs.signs_of_life(now),
        "queue": vital_signs.read_queue(now),
        "leases": vital_signs.held_leases(now),
        "failures": vital_signs.recent_failures(),
        "database": database_facts(),
        "budget": RequestBudget.objects.filter(account=account).first(),
        "versions": [("Python", platform.python_version()), *((name, version(name)) for name in PACKAGES)],
        "data_dir": settings.DATA_DIR,
        "now": now,
    }
    return render_page(request, "system/system.html", "system/_system.html", context)


@require_GET
def strip(request: HttpRequest) -> HttpResponse:
    """The status strip, and the number of open drifts beside the menu entry."""
    return render(request, "partials/_strip_answer.html")


@require_GET
@login_not_required
def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask here for pages that name no icon of their own, such as a file of figures."""
    return redirect(static("ui/favicon.svg"))


@require_GET
def keyboard(request: HttpRequest) -> HttpResponse:
    """All keys as a page: for those without JavaScript, and for a link."""
    return render(request, "keyboard/keyboard.html")


@require_POST
@permission_required("broker.halt_sending", raise_exception=True)
def halt(request: HttpRequest) -> HttpResponse:
    return _switch(request, halting.halt_sending, "Sending is halted for {}. Orders that Alpaca already has go on.")


@require_POST
@permission_required("broker.halt_sending", raise_exception=True)
def resume(request: HttpRequest) -> HttpResponse:
    return _switch(request, halting.resume_sending, "Sending is resumed for {}.")


def _switch(request: HttpRequest, service: Callable[..., None], done: str) -> HttpResponse:
    account = chosen_account(request)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Nothing was changed: give a reason, so that others know.")
        return redirect_to(request, "overview")
    try:
        service(account=account, actor=request.user.get_username(), reason=reason, now=timezone.now())
    except OrdersError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, done.format(account.name))
    return redirect_to(request, "overview")
