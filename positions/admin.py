"""Stock Django admin: parameters to edit, their history and the ledger's projections to read."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from positions.models import Adjustment, ParameterChange, Position
from positions.parameter_admin import RiskParametersAdmin

__all__ = ["AdjustmentAdmin", "ParameterChangeAdmin", "PositionAdmin", "RiskParametersAdmin"]

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = admin.ModelAdmin


class ReadOnlyAdmin(_Admin):
    """The ledger and what follows from it: seen by whoever may, edited by nobody."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = (
        "symbol", "sequence", "account", "state", "side", "qty", "avg_entry_price", "stop_loss", "target", "total_risk",
        "realized_pl", "opened_at", "closed_at",
    )  # fmt: skip
    list_filter = ("account", "state", "side", "is_estimated")
    list_select_related = ("account",)
    search_fields = ("symbol",)
    date_hierarchy = "opened_at"


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnlyAdmin):
    list_display = (
        "effective_at", "account", "symbol", "kind", "qty", "price", "is_estimated", "entered_by", "reason",
        "recorded_by",
    )  # fmt: skip
    list_filter = ("account", "kind", "is_estimated")
    list_select_related = ("account",)
    search_fields = ("symbol", "reason", "reference")
    date_hierarchy = "effective_at"


@admin.register(ParameterChange)
class ParameterChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "account", "whose", "percentages_before", "percentages_after", "applied_to_open", "actor")
    list_filter = ("account", "applied_to_open", "actor")
    list_select_related = ("account",)
    search_fields = ("symbol", "actor")
    date_hierarchy = "at"
    fields = (
        "at", "account", "whose", "actor", "percentages_before", "percentages_after", "applied_to_open", "recalculated",
    )  # fmt: skip

    class Media:
        css = {"all": ["positions/admin.css"]}

    @admin.display(description="Whose", ordering="symbol")
    def whose(self, change: ParameterChange) -> str:
        return change.symbol or "Default of the account"

    @admin.display(description="Before (% from entry)")
    def percentages_before(self, change: ParameterChange) -> str:
        return _in_words(change.before)

    @admin.display(description="After (% from entry)")
    def percentages_after(self, change: ParameterChange) -> str:
        return _in_words(change.after)

    @admin.display(description="Open positions")
    def recalculated(self, change: ParameterChange) -> str | SafeString:
        if not change.effects:
            return "None was recalculated."
        context = {"effects": change.effects, "caption": "As it was confirmed and done."}
        return mark_safe(render_to_string("admin/positions/_effects.html", context))  # noqa: S308  # escaped there


def _in_words(percentages: dict[str, str] | None) -> str:
    if percentages is None:
        return "None of its own"
    return f"stop {percentages['stop_loss_pct']}, target {percentages['target_pct']}"
