"""The board and the fixes. They read rows and record decisions; reading Alpaca and writing is the worker's."""

from datetime import datetime

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from broker.models import Account
from orders.account_choice import chosen_account, show_account
from reconciliation import pages
from reconciliation.answers import BOARD, board_again, board_context
from reconciliation.approving import approve_fixes
from reconciliation.board import proposed_fixes
from reconciliation.errors import FixRefused, NeedsOverride
from reconciliation.forms import ActForm, ApprovalRequest, UndoForm, write_shown
from reconciliation.looking_after import PERMISSION, people_who_may
from reconciliation.models import Drift, Fix, Run
from reconciliation.moved import moved
from reconciliation.open_drifts import OPEN_DRIFTS, open_drifts
from reconciliation.running import request_run
from reconciliation.undoing import undo_fix
from ui.htmx import redirect_to, render_page, wants_fragment
from ui.tables import wants_csv
from ui.typed_confirmation import asks_for_typed_count, is_count_typed
from work.queue import enqueue_once


@require_GET
def index(request: HttpRequest) -> HttpResponseBase:
    if wants_csv(request.GET):
        return OPEN_DRIFTS.csv("differences", open_drifts(chosen_account(request)), request.GET)
    return render_page(request, *BOARD, board_context(request, request.get_full_path()))


@require_POST
@permission_required("reconciliation.start_run", raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    waiting = Run.objects.filter(account=account, state__in=[Run.State.QUEUED, Run.State.RUNNING]).first()
    if waiting is not None:
        messages.info(request, f"Run {waiting.pk} is under way already; its result appears here.")
        return board_again(request)
    run = request_run(account=account, trigger=Run.Trigger.DEMAND, requested_by=request.user.get_username(), now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    return board_again(request)


@require_POST
@permission_required("reconciliation.approve_fix", raise_exception=True)
def approve(request: HttpRequest) -> HttpResponse:
    """Approve what was shown. Without a confirmation, and for many at once, the list of them is shown first."""
    account, username = chosen_account(request), request.user.get_username()
    asked = ApprovalRequest.read(request.POST)
    wanted = asked.ids(proposed_fixes(account, username=username))
    # What acts at Alpaca is approved on its own page, one by one.
    copies = Fix.objects.filter(account=account, pk__in=wanted, acts_at_broker=False)
    fixes = list(copies.select_related("account").order_by("pk"))
    if not fixes:
        messages.warning(request, "Nothing was approved: no fix was selected.")
        return board_again(request)
    if not asked.is_confirmed or not is_count_typed(request.POST, len(fixes)):
        return _ask_before_approving(request, asked, fixes)
    return _approve(request, account, asked, fixes)


def _ask_before_approving(request: HttpRequest, asked: ApprovalRequest, fixes: list[Fix]) -> HttpResponse:
    context = {
        "fixes": fixes,
        "consequences": pages.consequences(fixes),
        "shown": ",".join(f"{fix.pk}:{asked.shown.get(fix.pk, fix.fingerprint)}" for fix in fixes),
        "needs_count": asks_for_typed_count(len(fixes)),
        "count": asked.count,
        "is_wrong": asked.is_confirmed,
        "at": request.POST.get("at", ""),
    }
    return render(request, "reconciliation/approve.html", context)


def _approve(request: HttpRequest, account: Account, asked: ApprovalRequest, fixes: list[Fix]) -> HttpResponse:
    now, actor = timezone.now(), request.user.get_username()
    shown = {fix.pk: asked.shown.get(fix.pk, "") for fix in fixes}
    try:
        approved = _approve_as_asked(asked, fixes, actor, now, shown)
    except NeedsOverride as held:
        return _ask_for_reason(request, asked, fixes, held)
    except FixRefused as error:
        return _refuse(request, fixes, f"Nothing was approved. {error}")
    requested = [fix for fix in fixes if fix.state == Fix.State.PROPOSED and fix.requested_by == actor]
    if approved:
        enqueue_once(f"apply:{account.pk}", "reconciliation.tasks.apply_approved_task", account.pk, now=now)
        messages.success(request, pages.approved_sentence(approved))
    if requested:
        messages.info(request, pages.requested_sentence(requested))
    if not approved and not requested:
        messages.info(request, "Approved already, so nothing was done twice.")
    return redirect(fixes[0]) if "fix_page" in request.POST else board_again(request)


def _approve_as_asked(
    asked: ApprovalRequest, fixes: list[Fix], actor: str, now: datetime, shown: dict[int, str]
) -> list[Fix]:
    """With the reason only where one is asked for, and what is typed is what it is asked for."""
    try:
        return approve_fixes(fixes=fixes, actor=actor, now=now, fingerprints=shown)
    except NeedsOverride as held:
        if not asked.reason or asked.guard_count != held.typed:
            raise
        return approve_fixes(fixes=fixes, actor=actor, now=now, fingerprints=shown, override_reason=asked.reason)


def _ask_for_reason(
    request: HttpRequest, asked: ApprovalRequest, fixes: list[Fix], held: NeedsOverride
) -> HttpResponse:
    question = {
        "sentence": str(held),
        "typed": held.typed,
        "reason": asked.reason,
        "is_wrong": bool(asked.reason),
        "found": asked.guard_count,
        "count": asked.count,
        "shown": ",".join(f"{fix.pk}:{asked.shown.get(fix.pk, '')}" for fix in fixes),
    }
    if wants_fragment(request):
        return board_again(request, held=question)
    context = {
        "held": question,
        "fixes": fixes,
        "at": request.POST.get("at", ""),
        "fix_page": "fix_page" in request.POST,
    }
    return render(request, "reconciliation/override.html", context)


def _refuse(request: HttpRequest, fixes: list[Fix], sentence: str) -> HttpResponse:
    """Say why, and show the picture as it is now beside the one that was on the screen."""
    pairs = moved(fixes)
    if not pairs:
        messages.error(request, f"{sentence} This is the picture as it is now.")
        return board_again(request)
    new = [pair.new for pair in pairs if pair.new is not None and pair.can_be_approved]
    unmoved = [fix for fix in fixes if fix.state == Fix.State.PROPOSED]
    again = [*new, *unmoved]
    context = {"pairs": pairs, "sentence": sentence, "again": again, "again_shown": write_shown(again)}
    if wants_fragment(request):
        return board_again(request, **context)
    return render(request, "reconciliation/stale.html", {**context, "at": request.POST.get("at", "")})


@require_GET
def fix(request: HttpRequest, fix_id: int) -> HttpResponse:
    context = fix_context_for(request, fix_for_page(request, fix_id))
    return render_page(
        request,
        "reconciliation/fix.html",
        "reconciliation/_fix.html",
        {**context, "form": UndoForm(), "act_form": ActForm()},
    )


@require_POST
@permission_required("reconciliation.approve_fix", raise_exception=True)
def undo(request: HttpRequest, fix_id: int) -> HttpResponse:
    fix, now, actor = fix_for_page(request, fix_id), timezone.now(), request.user.get_username()
    form = UndoForm(request.POST)
    if not form.is_valid():
        return render(request, "reconciliation/fix.html", {**fix_context_for(request, fix), "form": form})
    try:
        fix = undo_fix(fix=fix, actor=actor, now=now, reason=form.cleaned_data["reason"])
    except FixRefused as error:
        messages.error(request, f"Nothing was undone. {error}")
        return redirect_to(request, fix)
    if fix.undoing_awaits_second_person:
        messages.success(request, f"Requested: another person must confirm the undoing of {fix.title}.")
        return redirect_to(request, fix)
    # What it had repaired is out of step again: let a run say so.
    run = request_run(account=fix.account, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    messages.success(request, f"Undone: {fix.title}. Run {run.pk} looks what is out of step now.")
    return redirect_to(request, fix)


def fix_context_for(request: HttpRequest, fix: Fix) -> dict[str, object]:
    context = pages.fix_context(fix, all_fields=pages.wants_all_fields(request), now=timezone.now())
    return {**context, "people": list(people_who_may()) if request.user.has_perm(PERMISSION) else []}


def fix_for_page(request: HttpRequest, fix_id: int) -> Fix:
    """The fix with the account that its page must name."""
    drifts = Prefetch("drifts", Drift.objects.order_by("pk").prefetch_related("comments", "entered_values"))
    fixes = Fix.objects.select_related("account", "run", "verification_run").prefetch_related(drifts)
    found = get_object_or_404(fixes, pk=fix_id)
    show_account(request, found.account)
    return found
