"""Browsers in which somebody has logged in before.

Failures under a name are counted for all addresses together, or a password could be guessed from many. That alone
would let a stranger keep a person out by failing in their name all day. So a browser that the person has once come in
with counts for itself: strangers use up only what all strangers share.
"""

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac

_COOKIE = "trading_browser"
_SALT = "signin.known_browser"
_DAYS = 180


def listen() -> None:
    user_logged_in.connect(_note, dispatch_uid="signin.known_browser")


def mark_of(request: HttpRequest, name: str) -> str:
    """Return what tells this browser from all others, if the person of this name has logged in with it; else ''."""
    try:
        mark, owner = signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=_DAYS * 86400)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return str(mark) if owner == _owner(name) else ""


def remember(request: HttpRequest, response: HttpResponseBase) -> None:
    """Leave the mark with whoever has just come in."""
    name = request.__dict__.get("_has_come_in")
    if name is None:
        return
    response.set_cookie(
        _COOKIE,
        signing.dumps([mark_of(request, name) or secrets.token_urlsafe(12), _owner(name)], salt=_SALT),
        max_age=_DAYS * 86400,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _note(*, request: HttpRequest, user: Any, **_more: Any) -> None:
    request.__dict__["_has_come_in"] = user.get_username()


def _owner(name: str) -> str:
    return salted_hmac(_SALT, name).hexdigest()[:32]
