"""The form in which a person enters a number for a difference."""

from typing import Any

from django import forms
from django.http import QueryDict

from reconciliation.entered_asking import Asked
from reconciliation.entered_values import LONGEST_REASON, ValueRefused, read_price, read_reason
from reconciliation.models import Drift


class EnterForm(forms.Form):
    """Fields of one difference among many on a page: the names say which. What is wrong is one sentence a field."""

    price = forms.CharField(required=False, max_length=100, strip=True)
    reason = forms.CharField(required=False, max_length=10 * LONGEST_REASON)

    def __init__(self, data: QueryDict | None, *, drift: Drift, asked: Asked) -> None:
        super().__init__(data, prefix=f"entered-{drift.pk}")
        self._asked = asked
        self.fields["price"].label = f"{asked.name} (USD a share)"
        self.fields["price"].widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        self.fields["price"].help_text = asked.why
        self.fields["reason"].label = "Where the number is from"
        self.fields["reason"].widget = forms.TextInput(attrs={"autocomplete": "off", "maxlength": LONGEST_REASON})
        self.fields["reason"].help_text = "It stands in the ledger and in the audit beside your name."

    def clean_price(self) -> str:
        text = str(self.cleaned_data["price"])
        self._check(read_price, text, self._asked.name)
        return text

    def clean_reason(self) -> str:
        text = str(self.cleaned_data["reason"])
        self._check(read_reason, text)
        return text

    @staticmethod
    def _check(read: Any, *texts: str) -> None:
        try:
            read(*texts)
        except ValueRefused as refused:
            raise forms.ValidationError(str(refused)) from refused

    @property
    def sentences(self) -> list[str]:
        """Everything that is wrong, for who has only a line to show it in."""
        return [str(sentence) for errors in self.errors.values() for sentence in errors]
