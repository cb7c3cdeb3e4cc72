"""The pages that look across all apps: overview, system, the status strip, the kill switch."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from orders import halting
from orders.account_choice import chosen_account
from orders.errors import OrdersError
from ui.htmx import redirect_to


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "overview/overview.html")


@require_GET
def strip(request: HttpRequest) -> HttpResponse:
    return render(request, "partials/_strip_answer.html")


@require_POST
@permission_required("broker.halt_sending", raise_exception=True)
def halt(request: HttpRequest) -> HttpResponse:
    account = chosen_account(request)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Sending was not stopped: say why, so that others know.")
        return redirect_to(request, "overview")
    try:
        halting.halt_sending(account=account, actor=request.user.get_username(), reason=reason, now=timezone.now())
    except OrdersError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"Sending is halted for {account.name}. Orders that Alpaca already has go on.")
    return redirect_to(request, "overview")


@require_POST
@permission_required("broker.halt_sending", raise_exception=True)
def resume(request: HttpRequest) -> HttpResponse:
    account = chosen_account(request)
    reason = request.POST.get("reason", "").strip()
    if not reason:
        messages.error(request, "Sending was not resumed: say why it may go on.")
        return redirect_to(request, "overview")
    try:
        halting.resume_sending(account=account, actor=request.user.get_username(), reason=reason, now=timezone.now())
    except OrdersError as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, f"Sending is resumed for {account.name}.")
    return redirect_to(request, "overview")
