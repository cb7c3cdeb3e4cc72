"""The reconciliation pages. They read rows and record decisions; reading Alpaca and writing is the worker's."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from broker.models import Account
from orders.account_choice import chosen_account, show_account
from reconciliation import pages
from reconciliation.approving import approve_fixes
from reconciliation.board import Board, asks_for_count, proposed_fixes
from reconciliation.errors import FixRefused, ReconciliationError
from reconciliation.forms import ApprovalRequest, IgnoreForm, UndoForm, write_shown
from reconciliation.ignoring import ignore_drift
from reconciliation.models import Drift, Fix, Run
from reconciliation.running import request_run
from reconciliation.undoing import undo_fix
from ui.htmx import redirect_to, render_page, wants_fragment
from work.queue import enqueue_once

BOARD = ("reconciliation/index.html", "reconciliation/_board_answer.html")


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    return render_page(request, *BOARD, _board_context(request, request.get_full_path()))


def _board_context(request: HttpRequest, path: str, **more: Any) -> dict[str, Any]:
    board = Board(
        account=chosen_account(request),
        now=timezone.now(),
        page=request.GET.get("page"),
        all_fields=pages.wants_all_fields(request),
    )
    return {"board": board, "board_href": path, "shown": write_shown(board.proposed), **more}


def _board_again(request: HttpRequest) -> HttpResponse:
    """After an act: the board as it is now, in place for htmx and by redirect for everybody else."""
    path = pages.board_path(request)
    if not wants_fragment(request):
        return redirect(path)
    return render(request, BOARD[1], _board_context(request, path, has_acted=True))


@require_POST
@permission_required("reconciliation.start_run", raise_exception=True)
def start(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    waiting = Run.objects.filter(account=account, state__in=[Run.State.QUEUED, Run.State.RUNNING]).first()
    if waiting is not None:
        messages.info(request, f"Run {waiting.pk} is under way already; its result appears here.")
        return _board_again(request)
    run = request_run(account=account, trigger=Run.Trigger.DEMAND, requested_by=request.user.get_username(), now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    return _board_again(request)


@require_POST
@permission_required("reconciliation.approve_fix", raise_exception=True)
def approve(request: HttpRequest) -> HttpResponse:
    """Approve what was shown. Without a confirmation, and for many at once, the list of them is shown first."""
    account = chosen_account(request)
    asked = ApprovalRequest.read(request.POST)
    fixes = list(Fix.objects.filter(account=account, pk__in=asked.ids(proposed_fixes(account))).order_by("pk"))
    if not fixes:
        messages.warning(request, "Nothing was approved: no fix was selected.")
        return _board_again(request)
    needs_count = asks_for_count(len(fixes))
    if not asked.is_confirmed or (needs_count and asked.count != str(len(fixes))):
        return _ask_before_approving(request, asked, fixes, needs_count=needs_count)
    return _approve(request, account, asked, fixes)


def _ask_before_approving(
    request: HttpRequest, asked: ApprovalRequest, fixes: list[Fix], *, needs_count: bool
) -> HttpResponse:
    context = {
        "fixes": fixes,
        "consequences": pages.consequences(fixes),
        "shown": ",".join(f"{fix.pk}:{asked.shown.get(fix.pk, fix.fingerprint)}" for fix in fixes),
        "needs_count": needs_count,
        "count": asked.count,
        "is_wrong": asked.is_confirmed,
    }
    return render(request, "reconciliation/approve.html", context)


def _approve(request: HttpRequest, account: Account, asked: ApprovalRequest, fixes: list[Fix]) -> HttpResponse:
    now = timezone.now()
    shown = {fix.pk: asked.shown.get(fix.pk, "") for fix in fixes}
    try:
        approved = approve_fixes(fixes=fixes, actor=request.user.get_username(), now=now, fingerprints=shown)
    except FixRefused as error:
        messages.error(request, f"Nothing was approved. {error} This is the picture as it is now.")
        return _board_again(request)
    if approved:
        enqueue_once(f"apply:{account.pk}", "reconciliation.tasks.apply_approved_task", account.pk, now=now)
        messages.success(request, pages.approved_sentence(approved))
    else:
        messages.info(request, "Approved already, so nothing was done twice.")
    return _board_again(request)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("reconciliation.ignore_drift", raise_exception=True)
def ignore(request: HttpRequest, drift_id: int) -> HttpResponse:
    now = timezone.now()
    drift = get_object_or_404(Drift.objects.roots().select_related("account"), pk=drift_id)
    show_account(request, drift.account)
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
    context = {"form": form, "drift": drift, "consequences": drift.consequences.open()}
    return render(request, "reconciliation/ignore.html", context)


@require_GET
def fix(request: HttpRequest, fix_id: int) -> HttpResponse:
    context = pages.fix_context(_fix(request, fix_id), all_fields=pages.wants_all_fields(request))
    return render_page(request, "reconciliation/fix.html", "reconciliation/_fix.html", {**context, "form": UndoForm()})


@require_POST
@permission_required("reconciliation.approve_fix", raise_exception=True)
def undo(request: HttpRequest, fix_id: int) -> HttpResponse:
    fix, now, actor = _fix(request, fix_id), timezone.now(), request.user.get_username()
    form = UndoForm(request.POST)
    if not form.is_valid():
        context = {**pages.fix_context(fix, all_fields=False), "form": form}
        return render(request, "reconciliation/fix.html", context)
    try:
        undo_fix(fix=fix, actor=actor, now=now, reason=form.cleaned_data["reason"])
    except FixRefused as error:
        messages.error(request, f"Nothing was undone. {error}")
        return redirect_to(request, fix)
    # What it had repaired is out of step again: let a run say so.
    run = request_run(account=fix.account, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now)
    enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
    messages.success(request, f"Undone: {fix.title}. Run {run.pk} looks what is out of step now.")
    return redirect_to(request, fix)


def _fix(request: HttpRequest, fix_id: int) -> Fix:
    """The fix with the account that its page must name."""
    drifts = Prefetch("drifts", Drift.objects.order_by("pk"))
    fixes = Fix.objects.select_related("account", "run", "verification_run").prefetch_related(drifts)
    found = get_object_or_404(fixes, pk=fix_id)
    show_account(request, found.account)
    return found
