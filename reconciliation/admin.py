"""Runs, drifts and fixes in the admin: to be looked at. They are changed by what happened, never by hand."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from reconciliation.models import Drift, Fix, ReadingCursor, Run
from reconciliation.policy_admin import BackfillPolicyAdmin, IgnoreRuleAdmin

__all__ = ["BackfillPolicyAdmin", "DriftAdmin", "FixAdmin", "IgnoreRuleAdmin", "ReadingCursorAdmin", "RunAdmin"]

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin


class _ReadOnlyAdmin(_ModelAdmin):
    actions = None
    show_full_result_count = False
    list_select_related = ("account",)

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(_ReadOnlyAdmin):
    list_display = ("id", "account", "state", "trigger", "requested_by", "started_at", "finished_at", "api_calls")
    list_filter = ("account", "state", "trigger", "is_full")
    search_fields = ("requested_by", "incomplete_reason")
    date_hierarchy = "requested_at"


@admin.register(Drift)
class DriftAdmin(_ReadOnlyAdmin):
    list_display = ("id", "account", "symbol", "kind", "severity", "state", "dollars", "first_seen_at", "last_seen_at")
    list_filter = ("account", "state", "severity", "group", "kind")
    search_fields = ("symbol", "sentence", "key", "ignored_by", "ignored_reason")
    date_hierarchy = "first_seen_at"


@admin.register(Fix)
class FixAdmin(_ReadOnlyAdmin):
    list_display = ("id", "account", "symbol", "title", "state", "is_safe_copy", "approved_by", "applied_at")
    list_filter = ("account", "state", "action", "is_safe_copy")
    search_fields = ("symbol", "title", "key", "approved_by", "undone_by")
    date_hierarchy = "proposed_at"


@admin.register(ReadingCursor)
class ReadingCursorAdmin(_ReadOnlyAdmin):
    list_display = ("account", "orders_read_to", "activities_read_to", "import_stage", "import_rows")
    list_filter = ("import_stage",)
