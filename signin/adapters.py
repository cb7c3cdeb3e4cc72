"""What django-allauth asks the program: nobody signs up, nothing goes out by mail, secrets are stored encrypted."""

import base64
import hashlib
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url

from signin import journaling, known_browser
from signin.client_address import client_address

#: The same for a wrong password, an unknown name and a person who is not active any more.
REFUSAL = "Username and password do not fit together. Both are case-sensitive."


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": REFUSAL,
        "too_many_login_attempts": "Too many attempts. Wait a quarter of an hour, then try again.",
        "rate_limited": "Too many attempts. Wait a minute, then try again.",
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not your present password.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return resolve_url("login")

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or "unknown"

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        name = str(credentials.get("username", ""))
        return f"{name.lower()}\n{known_browser.mark_of(request, name)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            journaling.note_limit(request, str(credentials.get("username", "")))
            raise

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict[str, Any]]:
        """Whoever has a second factor shows that: a password and a stolen session must not do to put in another."""
        found = super().get_reauthentication_methods(user)
        return [way for way in found if way["id"] != "reauthenticate"] or found

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        messages.error(request, REFUSAL)
        return redirect("login")

    def send_notification_mail(self, *_args: Any, **_kwargs: Any) -> None:
        """People are told by the journal; there is no mail server to rely on."""


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "This code is not right. Codes change every half minute and work once: wait for the next.",
        "cannot_delete_authenticator": "This is your last second factor, and approving needs one: add another first.",
    }

    def generate_authenticator_name(self, user: AbstractBaseUser, type: str) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return f"Passkey {number}"

    def encrypt(self, text: str) -> str:
        return _keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return _keys().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            # The SECRET_KEY it was made under is gone: no code fits, and an admin takes the factor off.
            return base64.b32encode(hashlib.sha256(encrypted_text.encode()).digest()[:20]).decode()


def _keys() -> MultiFernet:
    """The keys follow SECRET_KEY; what was encrypted under one of SECRET_KEY_FALLBACKS can still be read."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(b"signin.second-factor:" + str(secret).encode()).digest() for secret in secrets]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
