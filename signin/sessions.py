"""How long a session lasts, and how all sessions of a person are ended."""

import time
from typing import Any

from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db.models.signals import pre_save
from django.http import HttpRequest

_BEGAN, _SEEN = "signed_in_at", "seen_at"
_PENDING = "account_login"  # where allauth keeps a log-in that still lacks its second factor
#: Not every click is worth a write.
_STEP = 60
TOO_OLD = "You were logged out: a session lasts {} at most. Log in to go on."
IDLE = "You were logged out after {} without a sign of you. Log in to go on."


def listen() -> None:
    user_logged_in.connect(_begin, dispatch_uid="signin.sessions.begin")
    pre_save.connect(_end_for_change, sender=User, dispatch_uid="signin.sessions.end")


def why_over(session: SessionBase, now: float) -> str:
    """Return the sentence for the person whose session is over, or nothing if it goes on."""
    if now - float(session.get(_BEGAN, 0)) >= settings.SESSION_HOURS * 3600:
        return TOO_OLD.format(f"{settings.SESSION_HOURS} hours")
    if now - float(session.get(_SEEN, 0)) >= settings.SESSION_IDLE_MINUTES * 60:
        return IDLE.format(f"{settings.SESSION_IDLE_MINUTES} minutes")
    return ""


def note_sign_of_life(session: SessionBase, now: float) -> None:
    if now - float(session.get(_SEEN, 0)) >= _STEP:
        session[_SEEN] = now


def end_sessions(user: User) -> int:
    """End all sessions of a person, those included that wait for the second factor. Return how many there were."""
    ended, half_way_as = 0, user_pk_to_url_str(user)  # which is not the number itself
    for row in Session.objects.iterator():
        data = row.get_decoded()
        pending = data.get(_PENDING)
        is_half_way = isinstance(pending, dict) and pending.get("user_pk") == half_way_as
        if is_half_way or data.get(SESSION_KEY) == str(user.pk):
            ended += 1
            row.delete()
    return ended


def _begin(*, request: HttpRequest, **_more: Any) -> None:
    now = time.time()
    request.session[_BEGAN] = request.session[_SEEN] = now


def _end_for_change(*, instance: User, update_fields: Any = None, **_more: Any) -> None:
    """A new password ends sessions by itself, but not log-ins under way; and an inactive person may come back."""
    if instance.pk is None or (update_fields is not None and not {"password", "is_active"} & set(update_fields)):
        return
    before = User.objects.filter(pk=instance.pk).values("password", "is_active").first()
    if before and (before["password"] != instance.password or before["is_active"] > instance.is_active):
        end_sessions(instance)
