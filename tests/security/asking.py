"""One request as one person in one way, and what came of it."""

import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.messages import constants, get_messages
from django.db import connection, transaction
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.test import Client
from django.test.utils import CaptureQueriesContext

#: As long as Django's own.
TOKEN = "t0ken" + "x" * 27
WAYS = ("GET", "GET htmx", "POST", "POST htmx", "POST without token")
_WRITE = re.compile(r'\s*(INSERT|UPDATE|DELETE|REPLACE|TRUNCATE)\s+(?:INTO|FROM|ONLY)?\s*"?(\w+)"?', re.IGNORECASE)
#: What remembers who is logged in, and how often they asked, is nobody's record.
_SESSIONS = {"django_session", "shared_cache"}


class Asked:
    """`outcome`: done, login, forbidden, method, missing, refused (400) or error; `written`: the tables."""

    def __init__(self, response: HttpResponseBase, statements: list[str]) -> None:
        self.status = response.status_code
        self.outcome = _outcome(response)
        self.is_refused = _is_refused(response)
        written = (_WRITE.match(statement) for statement in statements)
        self.written = {found[2] for found in written if found} - _SESSIONS


def ask(
    client: Client, path: str, way: str, data: dict[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
) -> Asked:
    """Ask, and take back whatever it wrote."""
    method, _, how = way.partition(" ")
    headers = {**(headers or {}), **({"HX-Request": "true"} if how == "htmx" else {})}
    if method == "POST" and how != "without token":
        client.cookies[settings.CSRF_COOKIE_NAME] = TOKEN
        headers["X-CSRFToken"] = TOKEN
    kept = deepcopy(client.cookies)  # who logs out here shall be in again for the next question
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        asked = (
            client.post(path, data or {}, headers=headers) if method == "POST" else client.get(path, headers=headers)
        )
        if asked.streaming:
            b"".join(asked)  # a list as a file is written while it is read
        transaction.set_rollback(True)
    client.cookies = kept
    return Asked(asked, [query["sql"] for query in queries])


def _is_refused(response: Any) -> bool:
    """Whether the person is told of an error and of no success."""
    request = getattr(response, "wsgi_request", None)
    levels = {message.level for message in get_messages(request)} if request is not None else set()
    return constants.ERROR in levels and constants.SUCCESS not in levels


def _outcome(response: HttpResponseBase) -> str:
    where = response.get("Location", "") or response.get("HX-Redirect", "")
    if urlsplit(where).path in {resolve_url(settings.LOGIN_URL), "/admin/login/"} and "next=" in where:
        return "login"
    named = {400: "refused", 403: "forbidden", 404: "missing", 405: "method"}
    return named.get(response.status_code, "done" if response.status_code < 400 else "error")
