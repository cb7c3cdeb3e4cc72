"""Give each request its correlation id, and the log one line for each act."""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from work import correlation

log = logging.getLogger(__name__)

HEADER = "X-Request-ID"
#: What this thread is answering: the log leaves out what it holds in confidence.
request_in_hand: ContextVar[HttpRequest | None] = ContextVar("request_in_hand", default=None)


class CorrelationMiddleware:
    """The outermost: whatever is written while the request is answered, by anyone, carries the same id.

    An id that comes with the request counts only behind a proxy of our own: strangers do not write into our rows.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        token = request_in_hand.set(request)
        try:
            with correlation.carrying(_id_of(request)) as correlation_id:
                began = time.monotonic()
                response = self.get_response(request)
                _note(request, response, time.monotonic() - began)
        finally:
            request_in_hand.reset(token)
        response[HEADER] = correlation_id
        return response


def _id_of(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "") if settings.TRUSTED_PROXIES else ""
    return given if correlation.is_well_formed(given) else correlation.new_id()


def _note(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
    """Pages ask for news several times a second: only what may have changed something is worth a line."""
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        # Without the query string, which may hold anything.
        log.info("%s %s: %s in %.0f ms", request.method, request.path, response.status_code, seconds * 1000)
