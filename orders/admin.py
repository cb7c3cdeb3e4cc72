"""Batches, orders and fills in the admin: to be looked at. They are changed by what happened, never by hand."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from orders.models import Batch, Fill, Order, OrderEvent

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
else:
    _ModelAdmin = admin.ModelAdmin


class _ReadOnlyAdmin(_ModelAdmin):
    actions = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Batch)
class BatchAdmin(_ReadOnlyAdmin):
    list_display = ("id", "account", "name", "state", "created_by", "created_at", "scheduled_for", "finished_at")
    list_filter = ("account", "state", "source")
    search_fields = ("name", "created_by", "content_digest")
    date_hierarchy = "created_at"


@admin.register(Order)
class OrderAdmin(_ReadOnlyAdmin):
    list_display = (
        "id", "account", "symbol", "side", "qty", "notional", "order_type", "submission_state", "status",
        "filled_qty", "filled_avg_price", "recorded_at",
    )  # fmt: skip
    list_filter = ("account", "submission_state", "status", "origin", "side")
    search_fields = ("symbol", "client_order_id", "broker_order_id")
    date_hierarchy = "recorded_at"
    list_select_related = ("account",)


@admin.register(Fill)
class FillAdmin(_ReadOnlyAdmin):
    list_display = ("activity_id", "account", "symbol", "side", "qty", "price", "transaction_time")
    list_filter = ("account", "side")
    search_fields = ("symbol", "activity_id", "order__client_order_id", "order__broker_order_id")
    date_hierarchy = "transaction_time"
    list_select_related = ("account",)


@admin.register(OrderEvent)
class OrderEventAdmin(_ReadOnlyAdmin):
    list_display = ("at", "order", "kind", "text", "actor")
    list_filter = ("kind", "actor")
    search_fields = ("order__symbol", "order__client_order_id", "text")
    date_hierarchy = "at"
    list_select_related = ("order",)
