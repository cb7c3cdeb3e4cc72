"""Accounts in the admin: their names and limits. What happened to them is shown, and changed elsewhere."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import transaction
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from audit import journal
from broker.models import Account

if TYPE_CHECKING:
    _AccountModelAdmin = admin.ModelAdmin[Account]
else:
    _AccountModelAdmin = admin.ModelAdmin


@admin.register(Account)
class AccountAdmin(_AccountModelAdmin):
    """An account is never deleted: its orders and fills are the record."""

    list_display = ("slug", "name", "environment", "is_active", "sending_halted", "broker_account_number")
    list_filter = ("environment", "is_active", "sending_halted")
    search_fields = ("slug", "name", "broker_account_number")
    readonly_fields = (
        "broker_account_id",
        "broker_account_number",
        "bound_at",
        "sending_halted",
        "halted_at",
        "halted_by",
        "halted_reason",
        "plan",
    )
    fieldsets = (
        (
            None,
            {
                "fields": ("name", "slug", "environment", "is_active", "notice"),
                "description": "Keys are not kept here. They come from the environment: ALPACA_API_KEY and "
                "ALPACA_SECRET_KEY for the default account; for any other the same names with the slug in front, "
                "such as SWING_ALPACA_API_KEY.",
            },
        ),
        (
            "Limits",
            {
                "fields": ("max_order_notional", "max_batch_notional", "max_batch_orders"),
                "description": "Checked before anything is recorded; a batch that goes beyond is refused as a whole.",
            },
        ),
        (
            "Wipe-out guard",
            {
                "fields": ("guard_share_pct",),
                "description": "Counted over everything that is approved and not applied yet; fewer than three "
                "positions are never too many. 100: nothing is held back.",
            },
        ),
        (
            "Protection",
            {
                "fields": ("plan",),
                "description": "What stop and target of a position are beyond figures in these books.",
            },
        ),
        (
            "Bound to",
            {
                "fields": ("broker_account_number", "broker_account_id", "bound_at"),
                "description": "The account at Alpaca that these books belong to, as it was when first read. Should "
                "Alpaca answer with another one, runs end incomplete and nothing is changed.",
            },
        ),
        (
            "Sending",
            {
                "fields": ("sending_halted", "halted_at", "halted_by", "halted_reason"),
                "description": "The kill switch is thrown and released on the System page, and journaled there.",
            },
        ),
    )

    @admin.display(description="Protection plan")
    def plan(self, account: Account) -> str:
        """Changed on a page of its own, which shows what it would do to the open positions."""
        if account._state.adding:
            return f"{account.get_protection_plan_display()}. It can be changed once the account is saved."
        href = reverse("admin:positions_protection_plan", args=[account.pk])
        return format_html('{} <a href="{}">Change the plan</a>', account.get_protection_plan_display(), href)

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        """Which money an account is of does not change: another kind of money is another account."""
        fixed = ("slug", "environment") if obj else ()
        return (*fixed, *self.readonly_fields)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Account | None = None) -> Any:
        return {} if obj else {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Account, form: "ModelForm[Account]", change: bool) -> None:  # noqa: FBT001  # Django's signature
        """Save with a journal entry: a limit that was raised must be traceable to a person."""
        names = [name for name in form.changed_data if name in form.fields]
        before = {name: str(form.initial.get(name, "")) for name in names} if change else None
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            journal.record(
                at=timezone.now(),
                actor=request.user.get_username(),
                action="account.changed" if change else "account.added",
                account=obj.slug,
                subject_type="account",
                subject_id=obj.pk,
                summary=f"{'Changed' if change else 'Added'} account {obj.slug}: {', '.join(names) or 'nothing'}.",
                before=before,
                after={name: str(form.cleaned_data[name]) for name in names},
            )

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False
