"""What people send to the batch pages."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from broker.numbers import exact, plain
from broker.times import NEW_YORK
from orders.bracketing import Exits

SALT = "orders.batch"
#: How long a preview may lie before it is confirmed: prices and buying power have moved on after that.
PREVIEW_SECONDS = 3600

#: What is planned for later than this is a slip of the hand.
LONGEST_WAIT = timedelta(days=366)
_CLOCK_CHANGE = "Clocks in New York change in that hour, so the time is skipped or comes twice. Expected another hour."


@dataclass(frozen=True, slots=True)
class BatchUpload:
    """A file as it was uploaded, which travels through the preview in the page itself, signed.

    `exits` are those of brackets by line, as the preview showed them: what is said yes to is what is recorded.
    """

    name: str
    data: bytes
    account: str
    exits: Mapping[int, Exits] = field(default_factory=dict)
    cancel_exits_first: bool = False

    def signed(self) -> str:
        text = base64.b64encode(self.data).decode()
        exits = [[number, plain(line.stop_loss), plain(line.target)] for number, line in self.exits.items()]
        return signing.dumps([self.name, text, self.account, exits, self.cancel_exits_first], salt=SALT, compress=True)

    @classmethod
    def read(cls, signed: str) -> "BatchUpload | None":
        """None when it is not ours, was changed, or is too old."""
        try:
            name, text, account, exits, first = signing.loads(signed, salt=SALT, max_age=PREVIEW_SECONDS)
        except (signing.BadSignature, ValueError, TypeError):
            return None
        agreed = {number: Exits(exact(stop), exact(target)) for number, stop, target in exits}
        return cls(name, base64.b64decode(text), account, agreed, first)


class UploadForm(forms.Form):
    file = forms.FileField(
        label="CSV or JSON file",
        allow_empty_file=True,  # the check says what is expected in it
        help_text="A header row with symbol, side, qty or notional; also order_type, time_in_force, prices and exits.",
        widget=forms.FileInput(attrs={"accept": ".csv,.json,text/csv,application/json"}),
    )

    cancel_exits_first = forms.BooleanField(
        label="Cancel the exits of what is closed first",
        required=False,
        help_text="Alpaca refuses to close shares that a stop or target holds. Nothing guards them in between.",
    )

    def clean_file(self) -> "UploadedFile[Any]":
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if file.size is None or file.size > settings.BATCH_FILE_MAX_BYTES:
            raise forms.ValidationError(f"Expected a file of at most {settings.BATCH_FILE_MAX_BYTES:,} bytes.")
        return file


class NewYorkTimeField(forms.DateTimeField):
    """A wall-clock time in New York, whatever zone is active; an hour that is skipped or comes twice is refused."""

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override(NEW_YORK):
            try:
                return super().to_python(value)
            except forms.ValidationError as error:
                if error.code == "ambiguous_timezone":
                    raise forms.ValidationError(_CLOCK_CHANGE) from error
                raise

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(NEW_YORK) if isinstance(value, datetime) and timezone.is_aware(value) else value


class ReleaseForm(forms.Form):
    """When the batch is sent."""

    when = forms.ChoiceField(choices=(("now", "Send now"), ("scheduled", "Send at a set time")), initial="now")
    scheduled_for = NewYorkTimeField(
        label="Day and time, New York time",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "60"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )

    def __init__(self, *args: Any, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.now = now

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        at = cleaned.get("scheduled_for")
        if cleaned.get("when") == "scheduled" and "scheduled_for" not in self.errors:
            if at is None:
                self.add_error("scheduled_for", "Expected a day and a time, found nothing.")
            elif at <= self.now:
                self.add_error("scheduled_for", "Expected a time that is still to come.")
            elif at > self.now + LONGEST_WAIT:
                self.add_error("scheduled_for", "Expected a time within the next year.")
        return cleaned

    @property
    def moment(self) -> datetime | None:
        """None: now."""
        at: datetime | None = self.cleaned_data["scheduled_for"]
        return at if self.cleaned_data["when"] == "scheduled" else None


class HaltForm(forms.Form):
    reason = forms.CharField(label="Why", max_length=300, widget=forms.TextInput(attrs={"autocomplete": "off"}))
