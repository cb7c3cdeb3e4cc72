"""Edit parameters in Django admin: what a change would do is shown first, and only its confirmation saves.

1. The form is posted: it is checked, and a page shows the open positions before and after. Nothing is saved.
2. That page is posted: the change is made as shown, or shown again if the positions moved meanwhile.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import NON_FIELD_ERRORS, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from broker.models import Account
from positions.errors import EffectsMoved, InvalidParameters
from positions.in_force import Percentages
from positions.models import ParameterChange, RiskParameters
from positions.parameters import (
    Effect,
    change_parameters,
    fingerprint,
    preview_change,
    preview_removal,
    remove_parameters,
)
from positions.plan_admin import URL_NAME, plan_view

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[RiskParameters]
    _Form = forms.ModelForm[RiskParameters]
else:
    _Admin = admin.ModelAdmin
    _Form = forms.ModelForm


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that was asked for: of whose parameters, to what (None: to the account's default)."""

    account: Account
    symbol: str
    percentages: Percentages | None

    def effects(self) -> list[Effect]:
        if self.percentages is None:
            return preview_removal(account=self.account, symbol=self.symbol)
        return preview_change(
            account=self.account,
            symbol=self.symbol,
            stop_loss_pct=self.percentages.stop_loss_pct,
            target_pct=self.percentages.target_pct,
        )

    def carry_out(self, *, actor: str, apply_to_open: bool, expected: str) -> ParameterChange | None:
        how: dict[str, Any] = {
            "account": self.account,
            "symbol": self.symbol,
            "actor": actor,
            "now": timezone.now(),
            "apply_to_open": apply_to_open,
            "expected": expected,
        }
        if self.percentages is None:
            return remove_parameters(**how)
        return change_parameters(
            stop_loss_pct=self.percentages.stop_loss_pct, target_pct=self.percentages.target_pct, **how
        )

    @property
    def whose(self) -> str:
        return f"{self.symbol} in {self.account}" if self.symbol else f"the default of {self.account}"

    @property
    def sentence(self) -> str:
        if self.percentages is None:
            return f"{self.symbol} would lose its own parameters in {self.account} and take the account's default."
        stop, target = self.percentages.as_json().values()
        return f"The parameters of {self.whose} would be: stop {stop} %, target {target} % from the entry."


class RiskParametersForm(_Form):
    """Account and symbol are chosen once; afterwards only the percentages change."""

    #: Percentages to begin with instead of those in force, as the address gave them.
    filled_in: ClassVar[dict[str, str]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {**self.filled_in, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)

    class Meta:
        model = RiskParameters
        fields = ("account", "symbol", "stop_loss_pct", "target_pct")
        help_texts = {
            "symbol": "Capital letters, as Alpaca writes it. Empty: the default of the account.",
            "stop_loss_pct": "Percent from the average entry: 8 puts the stop of a long at 92 % of it, of a short at "
            "108 %. More than 0, less than 100, at most two decimals.",
            "target_pct": "Percent from the average entry: 16 puts the target of a long at 116 % of it, of a short at "
            "84 %. More than 0, at most 1000, at most two decimals.",
        }
        error_messages = {
            NON_FIELD_ERRORS: {"unique_together": "This account and symbol have parameters already: change those."}
        }

    def clean_symbol(self) -> str:
        symbol: str = self.cleaned_data["symbol"].strip().upper()
        return symbol

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.wish().effects()
            except InvalidParameters as error:
                self.add_error(error.field, str(error))
        return cleaned

    def wish(self) -> Wish:
        account = self.cleaned_data.get("account") or self.instance.account
        symbol = self.cleaned_data.get("symbol", self.instance.symbol)
        percentages = Percentages(self.cleaned_data["stop_loss_pct"], self.cleaned_data["target_pct"])
        return Wish(account, symbol, percentages)


@admin.register(RiskParameters)
class RiskParametersAdmin(_Admin):
    form = RiskParametersForm
    list_display = ("whose", "account", "stop", "target", "updated_at")
    list_filter = ("account",)
    list_select_related = ("account",)
    search_fields = ("symbol",)
    ordering = ("account", "symbol")
    actions = None
    fieldsets = (
        ("Whose", {"fields": ("account", "symbol")}),
        ("How far from the entry", {"fields": ("stop_loss_pct", "target_pct")}),
    )

    def get_urls(self) -> list[Any]:
        """The account's plan lives beside its levels: it says what becomes of them."""
        plan = path("plan/<int:account_id>/", self.admin_site.admin_view(plan_view), name=URL_NAME)
        return [plan, *super().get_urls()]

    @admin.display(description="Symbol", ordering="symbol")
    def whose(self, row: RiskParameters) -> str:
        return row.symbol or "Default"

    @admin.display(description="Stop (% from entry)")
    def stop(self, row: RiskParameters) -> str:
        return Percentages(row.stop_loss_pct, row.target_pct).as_json()["stop_loss_pct"]

    @admin.display(description="Target (% from entry)")
    def target(self, row: RiskParameters) -> str:
        return Percentages(row.stop_loss_pct, row.target_pct).as_json()["target_pct"]

    def get_form(
        self,
        request: HttpRequest,
        obj: RiskParameters | None = None,
        change: bool = False,  # noqa: FBT001, FBT002  # Django's signature
        **kwargs: Any,
    ) -> Any:
        """Let an address fill in the percentages of an existing row too, as the what-if of a position does."""
        form = super().get_form(request, obj, change=change, **kwargs)
        asked = {name: request.GET[name] for name in ("stop_loss_pct", "target_pct") if name in request.GET}
        if request.method != "GET" or obj is None or not asked:
            return form
        filled_in: Any = type(form.__name__, (form,), {"filled_in": asked})
        return filled_in

    def get_readonly_fields(self, request: HttpRequest, obj: RiskParameters | None = None) -> tuple[str, ...]:
        return ("account", "symbol") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: RiskParameters | None = None) -> bool:
        """Falling back to the default is a change like any other; the default itself always stays."""
        return self.has_change_permission(request, obj) and (obj is None or bool(obj.symbol))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        raise PermissionDenied("Parameters are saved from the page that shows their effect.")

    def delete_model(self, request: HttpRequest, obj: RiskParameters) -> None:
        raise PermissionDenied("Parameters are removed from the page that shows the effect.")

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method == "POST":
            row = self.get_object(request, object_id) if object_id else None
            allowed = self.has_change_permission(request, row) if row else self.has_add_permission(request)
            if allowed and (row or not object_id):
                form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
                if isinstance(form, RiskParametersForm) and form.is_valid():
                    return self._show_or_do(request, form.wish())
        return super().changeform_view(request, object_id, form_url, extra_context)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            return super().delete_view(request, object_id, extra_context)
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        return self._show_or_do(request, Wish(row.account, row.symbol, None))

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history is that of the parameters themselves, with what each change did."""
        row = self.get_object(request, object_id)
        if row is None:
            return super().history_view(request, object_id, extra_context)
        only = urlencode({"account__id__exact": row.account_id, "symbol__exact": row.symbol})
        return redirect(f"{reverse('admin:positions_parameterchange_changelist')}?{only}")

    def _show_or_do(self, request: HttpRequest, wish: Wish) -> HttpResponse:
        is_confirmed = "_confirmed" in request.POST
        apply_to_open = "apply_to_open" in request.POST or not is_confirmed
        try:
            if is_confirmed:
                try:
                    return self._do(request, wish, apply_to_open=apply_to_open)
                except EffectsMoved as error:
                    messages.warning(request, str(error))
            return self._show(request, wish, apply_to_open=apply_to_open)
        except InvalidParameters as error:  # a default that a short cannot take, for one
            messages.error(request, str(error))
            return redirect("admin:positions_riskparameters_changelist")

    def _do(self, request: HttpRequest, wish: Wish, *, apply_to_open: bool) -> HttpResponse:
        change = wish.carry_out(
            actor=request.user.get_username(), apply_to_open=apply_to_open, expected=request.POST.get("expected", "")
        )
        if change is None:
            messages.info(request, f"The parameters of {wish.whose} are like that already.")
        else:
            messages.success(request, f"Saved for {wish.whose}. Open positions recalculated: {len(change.effects)}.")
        return redirect("admin:positions_riskparameters_changelist")

    def _show(self, request: HttpRequest, wish: Wish, *, apply_to_open: bool) -> HttpResponse:
        effects = wish.effects()
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "What the change would do",
            "sentence": wish.sentence,
            "effects": effects,
            "expected": fingerprint(effects),
            "apply_to_open": apply_to_open,
            "carried": [(name, request.POST[name]) for name in RiskParametersForm.Meta.fields if name in request.POST],
            "button": "Fall back to the default" if wish.percentages is None else "Save these parameters",
            "back": reverse("admin:positions_riskparameters_changelist"),
        }
        return TemplateResponse(request, "admin/positions/riskparameters/confirm.html", context)
