"""Answer one address with a whole page, or with the part that htmx asked to refresh."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails


def wants_fragment(request: HttpRequest) -> bool:
    """True when htmx asked for a part. A boosted link or a restored history entry wants the whole page."""
    htmx = getattr(request, "htmx", None)
    return isinstance(htmx, HtmxDetails) and bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(
    request: HttpRequest,
    page: str,
    fragment: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render `fragment` for htmx, else `page`, which includes the same fragment."""
    template = fragment if wants_fragment(request) else page
    return render(request, template, dict(context or {}), status=status)


def redirect_to(request: HttpRequest, to: Any) -> HttpResponse:
    """Redirect after a POST, in the way that the asker understands. `to`: a name, an address or a model row."""
    answer = redirect(to)
    return HttpResponseClientRedirect(answer.url) if wants_fragment(request) else answer
