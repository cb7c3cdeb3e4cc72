"""Who logged in, who did not, and who changed what a log-in takes: into the journal.

It hears of log-ins from allauth, so of those by a person at a page.
"""

from typing import Any

from allauth.account.signals import password_changed, user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed, authenticator_added, authenticator_removed, authenticator_reset
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest
from django.utils import timezone

from audit import journal
from signin import lockout, second_factor
from signin.client_address import client_address

#: Instead of a name that is nobody's: it may be a password in the wrong field.
NOBODY = "somebody unknown"
_WORDS = {
    Authenticator.Type.TOTP: "an app for codes",
    Authenticator.Type.WEBAUTHN: "a passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


def listen() -> None:
    for signal, receiver in (
        (user_logged_in, _logged_in),
        (user_login_failed, _failed),
        (user_locked_out, _locked_out),
        (password_changed, _password_changed),
        (authenticator_added, _added),
        (authenticator_removed, _removed),
        (authenticator_reset, _reset),
        (authentication_failed, _wrong_code),
    ):
        signal.connect(receiver, dispatch_uid=f"signin.journaling{receiver.__name__}")


def _logged_in(*, request: HttpRequest, user: Any, **_more: Any) -> None:
    proof = "with a second factor" if second_factor.Proof(request).is_given else "with a password"
    _record(request, user.get_username(), "person.logged_in", f"Logged in {proof}", user.pk)


def _failed(*, request: HttpRequest | None = None, credentials: dict[str, Any], **_more: Any) -> None:
    if request is None or getattr(request, "axes_locked_out", False):
        return  # the lock-out is in the journal; what is tried meanwhile would only fill it
    name = str(credentials.get("username", ""))
    actor = name if lockout.is_a_person(request, name) else NOBODY
    _record(request, actor, "person.login_failed", "Gave a name and a password that do not fit together")


def _locked_out(*, request: HttpRequest, username: str, **_more: Any) -> None:
    if getattr(request, "_is_lock_out_noted", False) or getattr(request, "axes_failures_since_start", None) is None:
        return
    request.__dict__["_is_lock_out_noted"] = True
    actor = username if lockout.is_a_person(request, username) else NOBODY
    _record(request, actor, "person.locked_out", "Locked out from this address after failed log-ins")


def _password_changed(*, request: HttpRequest, user: Any, **_more: Any) -> None:
    _record(request, user.get_username(), "person.password_changed", "Changed their password", user.pk)


def _added(*, request: HttpRequest, user: Any, authenticator: Authenticator, **_more: Any) -> None:
    second_factor.note_new_factor(request, user, authenticator)
    _change(request, user, authenticator, "person.second_factor_added", "Added {}")


def _removed(*, request: HttpRequest, user: Any, authenticator: Authenticator, **_more: Any) -> None:
    _change(request, user, authenticator, "person.second_factor_removed", "Removed {}")


def _reset(*, request: HttpRequest, user: Any, authenticator: Authenticator, **_more: Any) -> None:
    _change(request, user, authenticator, "person.second_factor_reset", "Made new {}")


def _wrong_code(*, request: HttpRequest, user: Any, authenticator: Authenticator, **_more: Any) -> None:
    _change(request, user, authenticator, "person.second_factor_failed", "Gave a wrong code for {}")


def _change(request: HttpRequest, user: Any, authenticator: Authenticator, action: str, words: str) -> None:
    what = _WORDS.get(authenticator.type, str(authenticator.type))
    _record(request, user.get_username(), action, words.format(what), user.pk)


def _record(request: HttpRequest, actor: str, action: str, summary: str, subject: object = "") -> None:
    journal.record(
        at=timezone.now(),
        actor=actor,
        action=action,
        subject_type="user" if subject else "",
        subject_id=subject,
        summary=f"{summary}, from {client_address(request) or 'an unknown address'}",
    )
