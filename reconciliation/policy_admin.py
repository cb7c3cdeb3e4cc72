"""Policies and ignore rules in Django admin: what saving would do is shown first."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from audit import journal
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import BackfillPolicy, IgnoreRule
from reconciliation.policies import automatic_fixes, hidden_by, may_be_ignored, session_end, why_barred
from reconciliation.preview_admin import PreviewedAdmin
from ui.formatting import NEW_YORK

if TYPE_CHECKING:
    _PolicyForm = forms.ModelForm[BackfillPolicy]
    _RuleForm = forms.ModelForm[IgnoreRule]
else:
    _PolicyForm = _RuleForm = forms.ModelForm

LONGEST_RULE = timedelta(days=366)


class BackfillPolicyForm(_PolicyForm):
    class Meta:
        model = BackfillPolicy
        fields = (
            "account", "kind", "mode", "max_dollars", "not_before_close_minutes", "window_from", "window_until"
        )  # fmt: skip
        # The browser's own inputs: Django's clock writes inline styles.
        widgets = {
            name: forms.TimeInput(attrs={"type": "time"}, format="%H:%M") for name in ("window_from", "window_until")
        }
        help_texts = {
            "kind": "Kind of the cause. Empty: every kind that has no policy of its own.",
            "mode": "Automatic approves safe copies of broker facts and nothing else; each is still read again, "
            "verified, journaled, and can be undone. What was undone or failed once is not approved again. "
            "Two people: one requests, another approves; undoing takes one.",
            "max_dollars": "US dollars touched by all fixes that one run proposes, together. Only for automatic. "
            "Empty: no limit.",
            "not_before_close_minutes": "In the last minutes before the close nothing is applied by itself, and a "
            "person who approves gives a reason. 0: at any time.",
            "window_from": "New York time, such as 09:45. Outside the window nothing is applied by itself, and a "
            "person who approves gives a reason. Empty: from the day's beginning.",
            "window_until": "New York time. Empty: to the day's end.",
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kind, mode, limit = cleaned.get("kind", ""), cleaned.get("mode"), cleaned.get("max_dollars")
        if mode == BackfillPolicy.Mode.AUTOMATIC and kind and not KINDS[Kind(kind)].is_safe_copy:
            self.add_error(
                "mode",
                "Repairing this kind is never a plain copy of what Alpaca says, so a person must look: "
                "choose propose or two people.",
            )
        if limit is not None and limit <= 0:
            self.add_error("max_dollars", "More than 0 dollars, or empty for no limit.")
        elif limit is not None and mode != BackfillPolicy.Mode.AUTOMATIC:
            self.add_error("max_dollars", "A limit belongs to automatic only: with the other modes people decide.")
        begins, ends = cleaned.get("window_from"), cleaned.get("window_until")
        if begins is not None and begins == ends:
            self.add_error("window_until", "A window that ends when it begins never opens: give another time.")
        return cleaned


@admin.register(BackfillPolicy)
class BackfillPolicyAdmin(PreviewedAdmin):
    form = BackfillPolicyForm
    list_display = ("of_kind", "account", "mode", "max_dollars", "updated_at", "updated_by")
    list_filter = ("account", "mode")
    list_select_related = ("account",)
    search_fields = ("kind", "updated_by")

    @admin.display(description="Kind", ordering="kind")
    def of_kind(self, row: BackfillPolicy) -> str:
        return row.get_kind_display() or "Every other kind"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("account", "kind") if obj else ()

    def effect_lines(self, row: BackfillPolicy) -> list[str]:
        others = BackfillPolicy.objects.filter(account=row.account).exclude(kind=row.kind)
        now = timezone.now()
        closes_at = session_end(row.account, now)
        already = {fix.pk for fix in automatic_fixes(row.account, others, now=now, closes_at=closes_at)}
        fixes = automatic_fixes(row.account, [*others, row], now=now, closes_at=closes_at)
        return [f"Fix {fix.pk}: {fix.title}" for fix in fixes if fix.pk not in already]

    def effect_sentence(self, row: BackfillPolicy, lines: Sequence[str]) -> str:
        now = timezone.now()
        barred = why_barred(row, now=now, closes_at=session_end(row.account, now))
        if row.mode != BackfillPolicy.Mode.AUTOMATIC:
            return "Fixes of this kind will wait for people, as the mode says." + _barred_words(barred)
        if barred:
            return f"At this moment it would apply nothing. {barred}"
        if not lines:
            return "No fix that is proposed now would be applied by it; those of later runs would, as they come."
        return f"The next run would apply {len(lines)} of the fixes that are proposed now, without asking anybody:"

    def save_model(self, request: HttpRequest, obj: BackfillPolicy, form: Any, change: Any) -> None:
        obj.updated_at, obj.updated_by = timezone.now(), request.user.get_username()
        before = {n: str(form.initial.get(n) or "") for n in form.changed_data if n in form.fields} if change else None
        after = {name: str(form.cleaned_data[name] or "") for name in form.changed_data if name in form.fields}
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            self._record(request, obj, "policy.changed" if change else "policy.added", before, after)

    def delete_model(self, request: HttpRequest, obj: BackfillPolicy) -> None:
        with transaction.atomic():
            self._record(request, obj, "policy.removed", {"mode": obj.mode}, None)
            super().delete_model(request, obj)

    def _record(self, request: HttpRequest, obj: BackfillPolicy, action: str, before: Any, after: Any) -> None:
        journal.record(
            at=timezone.now(),
            actor=request.user.get_username(),
            action=action,
            account=obj.account.slug,
            subject_type="policy",
            subject_id=obj.pk,
            summary=f"Policy for {obj}",
            before=before,
            after=after,
        )


def _barred_words(barred: str) -> str:
    return f" At this moment a person who approves is asked for a reason. {barred}" if barred else ""


class IgnoreRuleForm(_RuleForm):
    class Meta:
        model = IgnoreRule
        fields = ("account", "kind", "symbol", "reason", "expires_at")
        help_texts = {
            "kind": "Kinds that are critical, or that say that a read proves nothing, are not in the list: "
            "they are never hidden.",
            "symbol": "Capital letters, as Alpaca writes it. Empty: every symbol.",
            "reason": "Everybody who looks at what it hides reads this.",
            "expires_at": "New York time, at most a year ahead. What it hid is open again after this.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            choices = [(kind.value, facts.title) for kind, facts in KINDS.items() if may_be_ignored(kind)]
            self.fields["kind"] = forms.ChoiceField(choices=choices, help_text=self.Meta.help_texts["kind"])

    def clean_symbol(self) -> str:
        symbol: str = self.cleaned_data["symbol"].strip().upper()
        return symbol

    def clean_expires_at(self) -> Any:
        moment, now = self.cleaned_data["expires_at"], timezone.now()
        if moment <= now:
            raise forms.ValidationError("It lies in the past: give the moment until which it may hide.")
        if moment > now + LONGEST_RULE:
            raise forms.ValidationError("At most a year ahead: what is right for ever should be repaired.")
        return moment


@admin.register(IgnoreRule)
class IgnoreRuleAdmin(PreviewedAdmin):
    form = IgnoreRuleForm
    list_display = ("kind", "of_symbol", "account", "reason", "owner", "expires_at", "hidden_count")
    list_filter = ("account", "kind")
    list_select_related = ("account",)
    search_fields = ("symbol", "reason", "owner")
    actions = ("end_now",)

    @admin.display(description="Symbol", ordering="symbol")
    def of_symbol(self, row: IgnoreRule) -> str:
        return row.symbol or "Every symbol"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("account", "kind", "symbol", "owner", "created_at", "hidden_count") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*IgnoreRuleForm.Meta.fields, *(("owner", "created_at", "hidden_count") if obj else ()))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "expires_at":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        # The browser's own inputs: Django's pair has one label for both, and its calendar writes inline styles.
        widget = forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": "Expires at: date, New York"},
            time_attrs={"type": "time", "aria-label": "Expires at: time, New York"},
            date_format="%Y-%m-%d",
            time_format="%H:%M",
        )
        field: forms.SplitDateTimeField = db_field.formfield(form_class=forms.SplitDateTimeField, widget=widget)
        return field

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A rule is ended, never deleted: what it hid, and why, stays known."""
        return False

    def effect_lines(self, row: IgnoreRule) -> list[str]:
        return [f"Difference {drift.pk}: {drift.sentence}" for drift in hidden_by(row)]

    def effect_sentence(self, row: IgnoreRule, lines: Sequence[str]) -> str:
        until = f"{row.expires_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York time"
        if not lines:
            return (
                f"It would hide no difference that is open now; later ones that fit it would be hidden until {until}."
            )
        return f"From the next run until {until} it would hide {len(lines)} of the differences that are open now:"

    def save_model(self, request: HttpRequest, obj: IgnoreRule, form: Any, change: Any) -> None:
        if not change:
            obj.owner, obj.created_at = request.user.get_username(), timezone.now()
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            _record_rule(request, obj, "ignore_rule.changed" if change else "ignore_rule.added")

    @admin.action(description="End now: what they hide is open again", permissions=["change"])
    def end_now(self, request: HttpRequest, rules: QuerySet[IgnoreRule]) -> None:
        now = timezone.now()
        ended = 0
        with transaction.atomic():
            for rule in rules.filter(expires_at__gt=now).select_related("account"):
                rule.expires_at = now
                rule.save(update_fields=["expires_at"])
                _record_rule(request, rule, "ignore_rule.ended")
                ended += 1
        messages.success(request, f"Ended: {ended}. What they hid is open again with the next run.")


def _record_rule(request: HttpRequest, rule: IgnoreRule, action: str) -> None:
    journal.record(
        at=timezone.now(),
        actor=request.user.get_username(),
        action=action,
        account=rule.account.slug,
        subject_type="ignore_rule",
        subject_id=rule.pk,
        summary=f"Ignore rule: {rule}",
        reason=rule.reason,
        after={"expires_at": rule.expires_at.isoformat(), "symbol": rule.symbol, "kind": rule.kind},
    )
