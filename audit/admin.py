from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from audit.models import AuditEntry

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[AuditEntry]
else:
    _ModelAdmin = admin.ModelAdmin


class AccountFilter(admin.AllValuesFieldListFilter):
    """What concerns no account, such as a log-in, is a choice with a name too: a link without words is none."""

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or "no account"}


@admin.register(AuditEntry)
class AuditEntryAdmin(_ModelAdmin):
    """The journal can be read here, never written: entries are made by the acts themselves."""

    list_display = ("at", "actor", "action", "summary", "reason", "account")
    list_filter = ("action", ("account", AccountFilter), "actor")
    search_fields = ("summary", "reason", "actor", "subject_id")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
