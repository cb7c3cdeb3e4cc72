"""The batch pages: upload and preview, record and release, progress, halt."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from broker.errors import BrokerError
from broker.models import Account
from orders import batch_pages as pages
from orders.account_choice import chosen_account, show_account
from orders.batch_progress import progress_of
from orders.bracketing import exits_of
from orders.checking import CheckedBatch, check_batch
from orders.errors import OrdersError
from orders.forms import BatchUpload, HaltForm, ReleaseForm, UploadForm
from orders.halting import halt_batch
from orders.models import Batch
from orders.recording import record_batch
from orders.releasing import release_batch
from orders.sending_again import ordered_since
from orders.unsent import unsent_file, unsent_orders
from ui.formatting import counted
from ui.htmx import redirect_to, render_page
from ui.tables import wants_csv
from ui.typed_confirmation import FIELD, asks_for_typed_count, is_count_typed
from work.queue import enqueue_once


@require_GET
def batch_list(request: HttpRequest) -> HttpResponseBase:
    batches = pages.listed_batches(chosen_account(request), request.GET)
    if wants_csv(request.GET):
        return pages.BATCHES.csv("batches", batches, request.GET)
    context = {"listing": pages.BATCHES.show(batches, request.GET), "states": Batch.State.choices}
    return render_page(request, "orders/batch_list.html", "orders/_batches.html", context)


@require_GET
def batch(request: HttpRequest, batch_id: int) -> HttpResponseBase:
    batch = _batch(request, batch_id)
    if wants_csv(request.GET):
        return pages.LINES.csv(f"batch-{batch.pk}", batch.orders.all(), request.GET)
    return _show_batch(request, batch, HaltForm())


@require_GET
def unsent_csv(request: HttpRequest, batch_id: int) -> HttpResponse:
    """The lines that came to nothing, as a file that can be corrected and uploaded."""
    name, data = unsent_file(_batch(request, batch_id))
    headers = {"Content-Disposition": content_disposition_header(as_attachment=True, filename=name) or ""}
    return HttpResponse(data, content_type="text/csv; charset=utf-8", headers=headers)


def _show_batch(request: HttpRequest, batch: Batch, form: HaltForm) -> HttpResponse:
    orders = batch.orders.defer("raw")
    context = {
        "batch": batch,
        "progress": progress_of(batch, timezone.now()),
        "halt": pages.halt_of(batch),
        "listing": pages.LINES.show(orders, request.GET, page_size=200),
        "form": form,
        "can_halt": batch.state in {Batch.State.SCHEDULED, Batch.State.RELEASED},
    }
    return render_page(request, "orders/batch.html", "orders/_batch_answer.html", context)


def _batch(request: HttpRequest, batch_id: int) -> Batch:
    batch = get_object_or_404(Batch.objects.select_related("account"), pk=batch_id)
    show_account(request, batch.account)
    return batch


# --- Upload, preview, confirm ---------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("orders.submit_batch", raise_exception=True)
def upload(request: HttpRequest) -> HttpResponse:
    """Check a file and show what it would do. Nothing is recorded here."""
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if not form.is_valid():
        return _ask_for_file(request, form)
    account, now = chosen_account(request), timezone.now()
    file = form.cleaned_data["file"]
    first = form.cleaned_data["cancel_exits_first"]
    uploaded = BatchUpload(file.name, file.read(), account.slug, cancel_exits_first=first)
    return _check(request, account, uploaded, now)


@require_http_methods(["GET", "HEAD", "POST"])
def unsent(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show the lines that came to nothing, or check them as if they were uploaded as a new file."""
    batch = _batch(request, batch_id)
    if request.method != "POST":
        return render(request, "orders/batch_unsent.html", {"batch": batch, "orders": unsent_orders(batch)})
    if not request.user.has_perm("orders.submit_batch"):
        raise PermissionDenied
    name, data = unsent_file(batch)
    uploaded = BatchUpload(name, data, batch.account.slug)
    # The file differs from the first once it is edited, so its digest is no guard against ordering the same twice.
    return _check(request, batch.account, uploaded, timezone.now(), ordered_since(list(unsent_orders(batch))))


def _check(
    request: HttpRequest, account: Account, uploaded: BatchUpload, now: datetime, since: Iterable[str] = ()
) -> HttpResponse:
    release = ReleaseForm(now=now, initial={"scheduled_for": pages.default_schedule(account, now)})
    try:
        checked = _checked(account, uploaded, now)
    except BrokerError as error:
        return _cannot_check(request, error)
    checked = replace(checked, warnings=(*since, *checked.warnings))
    return _preview(request, uploaded, checked, release)


def _checked(account: Account, uploaded: BatchUpload, now: datetime) -> CheckedBatch:
    return check_batch(
        account=account,
        data=uploaded.data,
        filename=uploaded.name,
        now=now,
        agreed=uploaded.exits,
        cancel_exits_first=uploaded.cancel_exits_first,
    )


def _ask_for_file(request: HttpRequest, form: UploadForm, **more: Any) -> HttpResponse:
    return render(request, "orders/batch_upload.html", {"form": form, **more})


def _cannot_check(request: HttpRequest, error: BrokerError) -> HttpResponse:
    return _ask_for_file(request, UploadForm(), failure=str(error))


def _preview(
    request: HttpRequest, uploaded: BatchUpload, checked: CheckedBatch, release: ReleaseForm, **more: str
) -> HttpResponse:
    rows = pages.preview_lines(checked)
    context = {
        "checked": checked,
        "release": release,
        "signed": replace(uploaded, exits=exits_of(checked.lines)).signed() if checked.is_usable else "",
        "rows": rows,
        "totals": pages.preview_totals(rows),
        "form": UploadForm(),
        "now": release.now,
        "needs_count": asks_for_typed_count(len(checked.lines)),
        **more,
    }
    return render(request, "orders/batch_preview.html", context)


@require_POST
@permission_required("orders.submit_batch", raise_exception=True)
def confirm(request: HttpRequest) -> HttpResponse:
    """Check the previewed file again, then record it, and release it now or at its time."""
    account, now, actor = chosen_account(request), timezone.now(), request.user.get_username()
    uploaded = BatchUpload.read(request.POST.get("file", ""))
    if uploaded is None or uploaded.account != account.slug:
        messages.error(request, "Nothing was recorded: the preview is too old or not whole. Upload the file again.")
        return redirect("orders:batch-upload")
    release = ReleaseForm(request.POST, now=now)
    try:
        checked = _checked(account, uploaded, now)
    except BrokerError as error:
        return _cannot_check(request, error)
    if not checked.is_usable or not release.is_valid():
        return _preview(request, uploaded, checked, release)
    if not is_count_typed(request.POST, len(checked.lines)):
        typed = request.POST.get(FIELD, "")[:20]
        wrong = f"expected {len(checked.lines)}, found {typed or 'nothing'}."
        return _preview(request, uploaded, checked, release, typed_count=typed, count_error=wrong)
    try:
        batch = record_batch(account=account, checked=checked, actor=actor, now=now, scheduled_for=release.moment)
    except OrdersError as error:
        messages.error(request, f"Nothing was recorded. {error}")
        return redirect("orders:batch-upload")
    if release.moment is None:
        _release(request, batch, now)
    return redirect(batch)


# --- Release and halt -----------------------------------------------------------------------------------------


def _release(request: HttpRequest, batch: Batch, now: datetime) -> None:
    if release_batch(batch=batch, actor=request.user.get_username(), now=now):
        enqueue_once(f"execute:{batch.pk}", "orders.tasks.execute_batch_task", batch.pk, now=now)
        messages.success(request, f"Batch {batch.pk} is released: its orders leave now.")
    else:
        batch.refresh_from_db()
        messages.info(request, f"Batch {batch.pk} is {batch.get_state_display().lower()} already.")


@require_POST
@permission_required("orders.submit_batch", raise_exception=True)
def release(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = _batch(request, batch_id)
    _release(request, batch, timezone.now())
    return redirect_to(request, batch)


@require_POST
@permission_required("orders.halt_batch", raise_exception=True)
def halt(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = _batch(request, batch_id)
    form = HaltForm(request.POST)
    if not form.is_valid():
        return _show_batch(request, batch, form)
    try:
        denied = halt_batch(
            batch=batch,
            actor=request.user.get_username(),
            reason=form.cleaned_data["reason"],
            now=timezone.now(),
        )
    except OrdersError as error:
        messages.warning(request, str(error))
    else:
        kept = counted(denied, "order was", "orders were")
        messages.success(request, f"Batch {batch.pk} is halted: {kept} not sent. What is sent goes on.")
    return redirect_to(request, batch)
