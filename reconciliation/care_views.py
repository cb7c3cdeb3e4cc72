"""Acts on a difference that repair nothing: ignore it, stop ignoring it, give it to somebody, comment on it."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from orders.account_choice import show_account
from reconciliation.answers import board_again
from reconciliation.errors import ReconciliationError
from reconciliation.forms import IgnoreForm
from reconciliation.ignoring import ignore_drift, stop_ignoring
from reconciliation.looking_after import PERMISSION, assign_drift, comment_on_drift
from reconciliation.models import Drift, Fix
from reconciliation.presentation import family_severity


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(PERMISSION, raise_exception=True)
def ignore(request: HttpRequest, drift_id: int) -> HttpResponse:
    now, drift = timezone.now(), _drift(request, drift_id)
    form = IgnoreForm(request.POST if request.method == "POST" else None, now=now)
    if form.is_valid():
        try:
            ignore_drift(
                drift=drift,
                actor=request.user.get_username(),
                reason=form.cleaned_data["reason"],
                until=form.moment,
                now=now,
            )
        except ReconciliationError as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"Ignored until the end of {form.cleaned_data['until']}: {drift.sentence}")
            return redirect("reconciliation:index")
    context = {
        "form": form,
        "drift": drift,
        "severity": family_severity(drift),
        "consequences": drift.consequences.open(),
    }
    return render(request, "reconciliation/ignore.html", context)


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def unignore(request: HttpRequest, drift_id: int) -> HttpResponse:
    drift = _drift(request, drift_id)

    def act() -> str:
        if drift.state != Drift.State.IGNORED:
            return "It was not ignored any more."
        stop_ignoring(drift=drift, actor=request.user.get_username(), now=timezone.now())
        return f"Open again: {drift.sentence}"

    return _done(request, act)


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def assign(request: HttpRequest, drift_id: int) -> HttpResponse:
    """To the person of the button ("me"), or to the one chosen beside it."""
    drift, actor = _drift(request, drift_id), request.user.get_username()
    chosen = request.POST.get(f"assignee-{drift.pk}", "")
    to = actor if request.POST.get("whom") == "me" else chosen

    def act() -> str:
        was = request.POST.get(f"was-{drift.pk}", "")
        assign_drift(drift=drift, to=to, was=was, actor=actor, now=timezone.now())
        return f"{drift.symbol or drift.title} is assigned to {to or 'nobody'}."

    return _done(request, act)


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def comment(request: HttpRequest, drift_id: int) -> HttpResponse:
    drift = _drift(request, drift_id)

    def act() -> str:
        text = request.POST.get(f"comment-{drift.pk}", "")
        comment_on_drift(drift=drift, text=text, actor=request.user.get_username(), now=timezone.now())
        return f"Your comment on {drift.symbol or drift.title} is recorded."

    return _done(request, act)


def _drift(request: HttpRequest, drift_id: int) -> Drift:
    roots = Drift.objects.roots().select_related("account", "ignored_by_rule")
    drift = get_object_or_404(roots, pk=drift_id)
    show_account(request, drift.account)
    return drift


def _done(request: HttpRequest, act: Callable[[], str]) -> HttpResponse:
    """Do it, say what came of it, and go back to where it was asked for: a fix's page or the board."""
    try:
        messages.success(request, act())
    except ReconciliationError as error:
        messages.error(request, f"Nothing was changed. {error}")
    pk = request.POST.get("fix_page", "")
    fix = Fix.objects.filter(pk=int(pk)).first() if pk.isdecimal() and len(pk) < 19 else None
    return redirect(fix) if fix is not None else board_again(request)
