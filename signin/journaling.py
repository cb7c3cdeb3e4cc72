"""Who logged in, who did not, and who changed what a log-in takes: into the journal.

It hears of log-ins from allauth, so of those by a person at a page.
"""

from typing import Any

from allauth.account.signals import password_changed, user_logged_in
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_login_failed
from django.core.cache import cache
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest
from django.utils import timezone

from audit import journal
from signin import lockout, second_factor
from signin.client_address import client_address

#: Instead of a name that is nobody's: it may be a password in the wrong field.
NOBODY = "somebody unknown"
_LIMIT_SECONDS = 900
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
        (authentication_failed, _wrong_code),
    ):
        signal.connect(receiver, dispatch_uid=f"signin.journaling{receiver.__name__}")
    # Of the rows themselves: allauth tells of some only after the transaction.
    post_save.connect(_added, sender=Authenticator, dispatch_uid="signin.journaling_added")
    post_delete.connect(_removed, sender=Authenticator, dispatch_uid="signin.journaling_removed")


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


def note_limit(request: HttpRequest, name: str) -> None:
    """Once in a while, or whoever goes on trying would fill the journal."""
    actor = name if lockout.is_a_person(request, name) else NOBODY
    if cache.add("signin.limit:" + actor.replace(" ", "-"), 1, timeout=_LIMIT_SECONDS):
        _record(request, actor, "person.locked_out", "Held up for a while after too many failed log-ins")


def note_wrong_passkey(request: HttpRequest) -> None:
    actor = request.user.get_username() if request.user.is_authenticated else NOBODY
    _record(request, actor, "person.second_factor_failed", "Gave a passkey that does not fit")


def _password_changed(*, request: HttpRequest, user: Any, **_more: Any) -> None:
    _record(request, user.get_username(), "person.password_changed", "Changed their password", user.pk)


def _added(*, instance: Authenticator, created: bool, **_more: Any) -> None:
    if created and (request := _by_oneself(instance)):
        second_factor.note_new_factor(request, instance.user, instance)
        _change(request, instance.user, instance, "person.second_factor_added", "Added {}")


def _removed(*, instance: Authenticator, **_more: Any) -> None:
    if request := _by_oneself(instance):
        _change(request, instance.user, instance, "person.second_factor_removed", "Removed {}")


def _by_oneself(factor: Authenticator) -> HttpRequest | None:
    """Return the request in which a person changes their own factor; what an admin does is journaled there."""
    request: HttpRequest | None = context.request
    return request if request is not None and request.user.pk == factor.user_id else None


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
