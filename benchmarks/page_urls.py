"""The product's addresses, and what an empty page costs behind the same log-in and middleware."""

from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path


@login_required
def empty(request: HttpRequest) -> HttpResponse:
    """What Django, its middleware and the log-in take: nothing is rendered but who is logged in."""
    return HttpResponse(f"<!doctype html><title>Empty</title><p>{request.user.get_username()}")


@login_required
def framed(request: HttpRequest) -> HttpResponse:
    """A page of the product that has nothing to say: head, navigation and strip."""
    return HttpResponse(_frame().render({}, request))


@login_required
def forgotten(request: HttpRequest) -> HttpResponse:
    """What parts of pages this process has kept is forgotten: the next page is as the first one."""
    caches["template_fragments"].clear()
    return HttpResponse("forgotten")


@cache
def _frame() -> Any:
    """Parsed once, as the templates of all pages are."""
    return engines["django"].from_string('{% extends "base.html" %}')


urlpatterns = [
    path("empty/", empty),
    path("framed/", framed),
    path("forgotten/", forgotten),
    path("", include("tradingsite.urls")),
]
