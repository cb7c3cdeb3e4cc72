"""What people send to the reconciliation pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from broker.times import NEW_YORK
from reconciliation.models import Fix
from ui.typed_confirmation import FIELD


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """Which fixes are approved, and the fingerprints of the pictures that were on the screen.

    `only`: the one button beside a fix. `scope`: "selected" by checkbox, "safe" or "all".
    """

    only: int | None
    scope: str
    selected: list[int]
    shown: Mapping[int, str]
    is_confirmed: bool
    count: str
    reason: str = ""  # to go beyond the wipe-out guard or through a barred time
    guard_count: str = ""

    @classmethod
    def read(cls, post: QueryDict) -> "ApprovalRequest":
        only = post.get("only", "")
        return cls(
            only=int(only) if _is_id(only) else None,
            scope=post.get("scope", "selected"),
            selected=[int(pk) for pk in post.getlist("fix") if _is_id(pk)],
            shown=read_shown(post.getlist("shown")),
            is_confirmed=post.get("confirmed") == "yes",
            count=post.get(FIELD, "").strip(),
            reason=post.get("override_reason", "").strip(),
            guard_count=post.get("guard_count", "").strip(),
        )

    def ids(self, proposed: Iterable[Fix]) -> list[int]:
        """Return those meant, in groups only such as were on the screen."""
        if self.only is not None:
            return [self.only]
        if self.scope == "listed":
            return list(self.shown)
        if self.scope in {"safe", "all"}:
            wanted = [fix.pk for fix in proposed if fix.is_safe_copy or self.scope == "all"]
            return [pk for pk in wanted if pk in self.shown]
        return self.selected


def _is_id(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 19


def read_shown(texts: list[str]) -> dict[int, str]:
    """Read "12:fingerprint,13:fingerprint"; what is malformed was not shown by us and counts as not shown."""
    pairs = (item.partition(":") for text in texts for item in text.split(","))
    return {int(pk): fingerprint for pk, _, fingerprint in pairs if _is_id(pk)}


def write_shown(fixes: list[Fix]) -> str:
    return ",".join(f"{fix.pk}:{fix.fingerprint}" for fix in fixes)


class IgnoreForm(forms.Form):
    """For how long, and why, a drift may be left as it is."""

    reason = forms.CharField(
        label="Why it may be ignored",
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Others see it beside your name, here and in the audit.",
    )
    until = forms.DateField(
        label="Until the end of",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="New York time. After that day it is open again by itself.",
    )

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        today = now.astimezone(NEW_YORK).date()
        self.fields["until"].initial = today + timedelta(days=7)
        self.fields["until"].widget.attrs["min"] = today.isoformat()

    @property
    def moment(self) -> datetime:
        """The end of the chosen day in New York."""
        day = self.cleaned_data["until"] + timedelta(days=1)
        return timezone.make_aware(datetime.combine(day, time()), NEW_YORK)


class UndoForm(forms.Form):
    reason = forms.CharField(
        label="Why it is undone",
        max_length=300,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stands in the audit beside your name.",
    )


class ActForm(forms.Form):
    """The approval of one fix that acts at Alpaca: its symbol, typed, and the picture that was on the screen."""

    typed_symbol = forms.CharField(
        max_length=32, widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters"})
    )
    reason = forms.CharField(max_length=300, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    shown = forms.CharField(max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, fix: Fix | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._symbol = fix.symbol if fix else ""

    def clean_typed_symbol(self) -> str:
        typed = str(self.cleaned_data["typed_symbol"]).strip().upper()
        if typed != self._symbol.upper():
            raise forms.ValidationError(f"Nothing was approved: expected {self._symbol}, found {typed}.")
        return typed
