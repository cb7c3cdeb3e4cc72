"""Change an account's protection plan in Django admin: the effect is shown first, and only its confirmation saves.

For live money the account's short name has to be typed as well.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from broker.models import Account, Environment, ProtectionPlan
from positions.errors import EffectsMoved
from positions.plan_change import HELP, change_plan, fingerprint, history_of, preview_plan

URL_NAME = "positions_protection_plan"


class PlanForm(forms.Form):
    plan = forms.ChoiceField(label="Protection plan", choices=ProtectionPlan.choices, widget=forms.RadioSelect)


def plan_view(request: HttpRequest, account_id: int) -> HttpResponse:
    """Choose a plan; see what it would do; confirm it."""
    account = get_object_or_404(Account, pk=account_id)
    if not request.user.has_perm("broker.change_account"):
        raise PermissionDenied
    if request.method != "POST":
        return _ask(request, account, PlanForm(initial={"plan": account.protection_plan}))
    form = PlanForm(request.POST)
    if not form.is_valid():
        return _ask(request, account, form)
    plan = ProtectionPlan(form.cleaned_data["plan"])
    if plan == account.protection_plan:
        messages.info(request, f"{account} has this plan already.")
        return redirect(f"admin:{URL_NAME}", account.pk)
    if "_confirmed" not in request.POST:
        return _show(request, account, plan)
    if account.environment == Environment.LIVE and request.POST.get("typed_slug", "").strip() != account.slug:
        return _show(request, account, plan, typed_error=f"Nothing was saved. Type {account.slug} to confirm.")
    return _do(request, account, plan)


def _do(request: HttpRequest, account: Account, plan: ProtectionPlan) -> HttpResponse:
    expected, actor = request.POST.get("expected", ""), request.user.get_username()
    try:
        change_plan(account=account, plan=plan, actor=actor, now=timezone.now(), expected=expected)
    except EffectsMoved as error:
        messages.warning(request, str(error))
        account.refresh_from_db()
        return _show(request, account, plan)
    messages.success(request, f"The plan of {account} is: {plan.label}.")
    return redirect("admin:broker_account_change", account.pk)


def _ask(request: HttpRequest, account: Account, form: PlanForm) -> HttpResponse:
    plans = [(plan, HELP[plan], str(form["plan"].value()) == plan) for plan in ProtectionPlan]
    more = {"form": form, "plans": plans, "history": history_of(account), "title": "Protection plan"}
    return _page(request, account, "admin/positions/plan.html", more)


def _show(request: HttpRequest, account: Account, plan: ProtectionPlan, *, typed_error: str = "") -> HttpResponse:
    effects = preview_plan(account=account, plan=plan, now=timezone.now())
    more = {
        "title": "What the plan would do",
        "plan": plan,
        "help": HELP[plan],
        "effects": effects,
        "orders": sum(effect.is_order for effect in effects),
        "expected": fingerprint(effects),
        "is_live": account.environment == Environment.LIVE,
        "typed_error": typed_error,
    }
    return _page(request, account, "admin/positions/plan_confirm.html", more)


def _page(request: HttpRequest, account: Account, template: str, more: dict[str, Any]) -> HttpResponse:
    context = {**admin.site.each_context(request), "account": account, "opts": Account._meta, **more}
    return TemplateResponse(request, template, context)
