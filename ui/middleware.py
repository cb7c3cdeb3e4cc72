"""Small rules for all pages: what may be asked, and how htmx refreshes them in parts."""

from collections.abc import Callable
from itertools import chain
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.messages import get_messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from ui.htmx import wants_fragment


class FragmentMiddleware:
    """Vary by HX-Request, send the logged-out to the log-in page as a whole, carry messages with fragments."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if wants_fragment(request) and isinstance(response, HttpResponse):
            response = _for_htmx(request, response)
        # A page and its fragment share an address: without this, Back shows the bare fragment.
        patch_vary_headers(response, ["HX-Request"])
        return response


class NullCharacterMiddleware:
    """Answer 400 to an address or form with a null character: PostgreSQL cannot even compare text with one.

    Files are not looked at: what they hold is judged where they are read.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: object) -> None:
        fields = [*request.GET.lists(), *request.POST.lists()]
        texts = chain([request.path], *([name, *values] for name, values in fields))
        if any("\0" in text for text in texts):
            raise BadRequest("A null character belongs in no text.")


def _for_htmx(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    login = resolve_url(settings.LOGIN_URL)
    if response.status_code == 302 and urlsplit(response["Location"]).path == login:
        return HttpResponseClientRedirect(f"{login}?{urlencode({'next': _current_path(request)})}")
    is_html = response.get("Content-Type", "").startswith("text/html")
    # Only the answer to an act carries messages: a poll must not swallow one that a redirect is about to show.
    if request.method == "POST" and is_html and "HX-Redirect" not in response and get_messages(request):
        response.write(render_to_string("partials/_messages.html", {"is_oob": True}, request))
    return response


def _current_path(request: HttpRequest) -> str:
    htmx = getattr(request, "htmx", None)
    return (htmx and htmx.current_url_abs_path) or "/"
