"""Each request of somebody who is logged in: is the session still good, and has it shown what the act needs."""

import time
from collections.abc import Callable
from typing import Any

from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from signin import known_browser, second_factor, sessions

Answer = Callable[[HttpRequest], HttpResponseBase]
#: Each of these reads a file or a long form, and asks Alpaca: nobody needs them twice a second.
LIMITED_UPLOADS = frozenset({"orders:batch-upload", "orders:batch-confirm"})
_ASKED_BY_THE_PAGE = frozenset({"pulse", "strip"})


class SessionAgeMiddleware:
    """Log out whoever was away for too long, or in for too long. What a page asks by itself is no sign of life."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        now = time.time()
        if SESSION_KEY in request.session and (why := sessions.why_over(request.session, now)):
            logout(request)
            messages.info(request, why)
        response = self.get_response(request)
        known_browser.remember(request, response)
        return response

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        if SESSION_KEY in request.session and not _is_asked_by_the_page(request):
            sessions.note_sign_of_life(request.session, time.time())


class SecondFactorMiddleware:
    """Tie to the person what their session has shown, and lead there whoever is held up for want of it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.REQUIRE_SECOND_FACTOR and request.user.is_authenticated:
            request.user.second_factor = second_factor.Proof(request)  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponseBase | None:
        proof = getattr(request.user, "second_factor", None)
        if proof is None or not _is_guarded(request) or proof.is_given:
            return None
        return second_factor.lead_there(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if isinstance(error, PermissionDenied) and getattr(request.user, "was_held_up", False):
            return second_factor.lead_there(request)
        return None


class UploadLimitMiddleware:
    """So many files a minute from one person, and from one address."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponseBase | None:
        if request.method != "POST" or _view_name(request) not in LIMITED_UPLOADS or request.user.is_anonymous:
            return None
        answer: HttpResponseBase | None = ratelimit.consume_or_429(request, action="upload", user=request.user)
        return answer


def _is_guarded(request: HttpRequest) -> bool:
    user: Any = request.user
    name, is_reading = _view_name(request), request.method in {"GET", "HEAD", "OPTIONS"}
    if name.startswith("admin:"):
        return bool(user.is_staff) and name != "admin:logout"
    if user.is_superuser and not is_reading:
        return name not in second_factor.OPEN_TO_SUPERUSERS and not name.startswith("mfa_")
    return name in second_factor.GUARDED_ADDRESSES


def _is_asked_by_the_page(request: HttpRequest) -> bool:
    """A region that refreshes itself is its own target; what a person presses is another element."""
    target = request.headers.get("HX-Target")
    is_refresh = request.method == "GET" and target is not None and target == request.headers.get("HX-Trigger")
    return is_refresh or _view_name(request) in _ASKED_BY_THE_PAGE


def _view_name(request: HttpRequest) -> str:
    return request.resolver_match.view_name if request.resolver_match else ""
