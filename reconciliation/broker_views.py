"""Approve what acts at Alpaca, one fix at a time, and want its opposite. Under a permission of its own."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from reconciliation.approving import approve_fixes
from reconciliation.broker_permission import ACT_AT_BROKER
from reconciliation.errors import FixRefused, NeedsOverride
from reconciliation.forms import ActForm, UndoForm
from reconciliation.models import Fix, Run
from reconciliation.opposites import want_opposite
from reconciliation.running import request_run
from reconciliation.views import fix_context_for, fix_for_page
from work.queue import enqueue_once

MAY_ACT = ("reconciliation.approve_fix", ACT_AT_BROKER)


@require_POST
@permission_required(MAY_ACT, raise_exception=True)
def act(request: HttpRequest, fix_id: int) -> HttpResponse:
    """Approve one fix that acts at Alpaca; its symbol is typed, and it is the picture that was on the screen."""
    fix, now, actor = fix_for_page(request, fix_id), timezone.now(), request.user.get_username()
    form = ActForm(request.POST, fix=fix)
    if not form.is_valid():
        return _show(request, fix, form)
    shown, reason = {fix.pk: form.cleaned_data["shown"]}, form.cleaned_data["reason"]
    try:
        approved = approve_fixes(fixes=[fix], actor=actor, now=now, fingerprints=shown, override_reason=reason)
    except NeedsOverride as held:
        form.add_error("reason", f"{held} Say why it is right to go on.")
        return _show(request, fix, form)
    except FixRefused as error:
        messages.error(request, f"Nothing was approved. {error}")
        return redirect(fix)
    if approved:
        enqueue_once(f"apply:{fix.account_id}", "reconciliation.tasks.apply_approved_task", fix.account_id, now=now)
        messages.success(request, f"Approved: {fix.title}. Alpaca is read again, then asked, then read to verify.")
    elif fix.requested_by == actor and fix.state == Fix.State.PROPOSED:
        messages.info(request, "Requested by you. The policy asks for two people: another person must approve it.")
    else:
        messages.info(request, "Approved already, so nothing was done twice.")
    return redirect(fix)


def _show(request: HttpRequest, fix: Fix, form: ActForm) -> HttpResponse:
    context = {**fix_context_for(request, fix), "form": UndoForm(), "act_form": form}
    return render(request, "reconciliation/fix.html", context)


@require_POST
@permission_required(MAY_ACT, raise_exception=True)
def opposite(request: HttpRequest, fix_id: int) -> HttpResponse:
    """Note that the opposite is wanted, and let a run propose it."""
    fix, now, actor = fix_for_page(request, fix_id), timezone.now(), request.user.get_username()
    form = UndoForm(request.POST)
    if not form.is_valid():
        return render(request, "reconciliation/fix.html", {**fix_context_for(request, fix), "form": form})
    try:
        want_opposite(fix=fix, actor=actor, reason=form.cleaned_data["reason"], now=now)
    except FixRefused as error:
        messages.error(request, f"Nothing was done. {error}")
        return redirect(fix)
    run = request_run(account=fix.account, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    messages.success(request, f"Run {run.pk} looks at Alpaca and proposes the opposite, for you to approve.")
    return redirect(fix)
