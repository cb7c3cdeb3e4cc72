"""What looks across all apps beside the pages of their own: the status strip, the kill switch, the keys."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from orders import halting
from orders.account_choice import chosen_account
from orders.errors import OrdersError
from ui.htmx import redirect_to


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
