import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal import flows
from allauth.account.models import Login
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.http import HttpRequest, HttpResponse

from signin import journaling

UNREADABLE = "This is no passkey that can be read. Try again, or log in another way."


class LogInForm(forms.Form):
    """Username and password. What else a log-in needs, allauth asks for after it."""

    username = forms.CharField(
        max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        strip=False, max_length=1000, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: Any = None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            adapter = get_adapter(self.request)
            self.user = adapter.authenticate(self.request, username=cleaned["username"], password=cleaned["password"])
            if self.user is None:
                raise adapter.validation_error("username_password_mismatch")
        return cleaned

    def login(self, request: HttpRequest, redirect_url: str | None = None) -> HttpResponse:
        login = Login(user=self.user, redirect_url=redirect_url)
        credentials = {"username": self.cleaned_data["username"]}
        response: HttpResponse = flows.login.perform_password_login(request, credentials, login)
        return response


class CredentialField(forms.JSONField):
    """What a browser sends of a passkey. A stranger sends anything, and as deep as they like."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except RecursionError:
            found = []
        if found is not None and not isinstance(found, dict):
            raise forms.ValidationError(UNREADABLE)
        return found

    def bound_data(self, _data: Any, _initial: Any) -> Any:
        """It is drawn empty again: it fits once."""
        return None


class _Journaled:
    """What comes back from the browser and does not fit is in the journal, as a wrong password is."""

    def clean_credential(self) -> Authenticator:
        try:
            with _told_apart():
                found: Authenticator = super().clean_credential()  # type: ignore[misc]
        except forms.ValidationError:
            journaling.note_wrong_passkey(context.request)
            raise
        return found


@contextmanager
def _told_apart() -> Iterator[None]:
    """The libraries read what comes as if a browser had made it: missing and wrong parts fail wherever they are met."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error):
        raise forms.ValidationError(UNREADABLE) from None


class PasskeyLogInForm(_Journaled, LoginWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class PasskeyForm(_Journaled, AuthenticateWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class PasskeyConfirmForm(_Journaled, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    name = forms.CharField(required=False, max_length=100)
    credential = CredentialField()
    passwordless = forms.BooleanField(
        required=False,
        label="It lets me in without my password",
        help_text="It must then ask for your finger, your face or a PIN: that and the device are two factors.",
    )

    def clean(self) -> dict[str, Any]:
        with _told_apart():
            cleaned: dict[str, Any] = super().clean()
        return cleaned


class SetUpCodesForm(ActivateTOTPForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = "Code that the app shows"
