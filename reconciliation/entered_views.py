"""Enter a number that only a person knows, or withdraw it. Whoever may approve fixes may."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from broker.models import Account
from broker.numbers import plain
from orders.account_choice import show_account
from reconciliation.answers import board_again
from reconciliation.entered_asking import asks_for
from reconciliation.entered_form import EnterForm
from reconciliation.entered_values import PERMISSION, enter_value, withdraw_value
from reconciliation.errors import ReconciliationError
from reconciliation.models import Drift, Run
from reconciliation.running import request_run
from ui.htmx import wants_fragment
from work.queue import enqueue_once


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(PERMISSION, raise_exception=True)
def enter(request: HttpRequest, drift_id: int) -> HttpResponse:
    """The form on a page of its own, and what comes from it or from the board."""
    roots = Drift.objects.roots().select_related("account", "fix").prefetch_related("entered_values")
    drift = get_object_or_404(roots, pk=drift_id)
    show_account(request, drift.account)
    asked = asks_for(drift)
    if asked is None:
        messages.error(request, "Nothing was entered. No number is needed for it any more: look at it as it is now.")
        return board_again(request)
    form = EnterForm(request.POST if request.method == "POST" else None, drift=drift, asked=asked)
    if request.POST.get("entered") == "withdraw":
        return _withdraw(request, drift)
    if form.is_valid():
        return _enter(request, drift, form)
    if form.is_bound and wants_fragment(request):
        messages.error(request, f"Nothing was entered. {' '.join(form.sentences)}")
        return board_again(request)
    return render(request, "reconciliation/enter_value.html", {"drift": drift, "form": form, "asked": asked})


def _enter(request: HttpRequest, drift: Drift, form: EnterForm) -> HttpResponse:
    actor, now = request.user.get_username(), timezone.now()
    try:
        value = enter_value(
            drift=drift, price=form.cleaned_data["price"], reason=form.cleaned_data["reason"], actor=actor, now=now
        )
    except ReconciliationError as error:
        messages.error(request, f"Nothing was entered. {error}")
        return board_again(request)
    run = _look_again(drift.account, actor)
    if value.doubt:
        messages.warning(request, value.doubt)
    messages.success(
        request, f"Entered: {plain(value.price)} dollars a share for {drift.symbol}. Run {run.pk} proposes the fix."
    )
    return board_again(request)


def _withdraw(request: HttpRequest, drift: Drift) -> HttpResponse:
    actor = request.user.get_username()
    try:
        withdraw_value(drift=drift, actor=actor, now=timezone.now())
    except ReconciliationError as error:
        messages.error(request, f"Nothing was withdrawn. {error}")
        return board_again(request)
    run = _look_again(drift.account, actor)
    messages.success(request, f"Withdrawn. Run {run.pk} shows {drift.symbol} without it.")
    return board_again(request)


def _look_again(account: Account, actor: str) -> Run:
    """One that waits already will see it; one that is under way may have read the rows before."""
    now = timezone.now()
    run = Run.objects.filter(account=account, state=Run.State.QUEUED).first()
    if run is None:
        run = request_run(account=account, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    return run
