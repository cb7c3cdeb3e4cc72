"""Bind the books anew: what that means is shown, the new account's number is typed, and a reason given."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from orders.account_choice import show_account
from reconciliation.errors import ReconciliationError
from reconciliation.models import Drift, Run
from reconciliation.rebinding import REBINDABLE, rebind_account
from reconciliation.running import request_run
from work.queue import enqueue_once


class RebindForm(forms.Form):
    number = forms.CharField(
        label="Number of the account that answers", max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    reason = forms.CharField(
        label="Why the books begin anew",
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stands in the audit beside your name, and on the archived account.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("reconciliation.approve_fix", raise_exception=True)
def rebind(request: HttpRequest, drift_id: int) -> HttpResponse:
    seen = Drift.objects.filter(kind__in=REBINDABLE).select_related("account")
    drift, now, actor = get_object_or_404(seen, pk=drift_id), timezone.now(), request.user.get_username()
    show_account(request, drift.account)
    form = RebindForm(request.POST or None)
    if form.is_valid():
        number, reason = form.cleaned_data["number"], form.cleaned_data["reason"]
        try:
            new = rebind_account(drift=drift, typed_number=number, actor=actor, reason=reason, now=now)
        except ReconciliationError as error:
            form.add_error(None, f"Nothing was changed. {error}")
        else:
            run = request_run(account=new, trigger=Run.Trigger.DEMAND, requested_by=actor, now=now)
            enqueue_once(f"run:{run.pk}", "reconciliation.tasks.make_run_task", run.pk, now=now)
            messages.success(
                request,
                f"{new.name} begins anew with account {new.broker_account_number}; the old books are archived. "
                "Sending is halted: look at the account, then resume it on the System page.",
            )
            return redirect("reconciliation:index")
    return render(request, "reconciliation/rebind.html", {"form": form, "drift": drift})
