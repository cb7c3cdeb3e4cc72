"""One address, two answers: the page for people, the fragment for htmx."""

import pytest
from django.contrib import messages
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponse
from django.test import RequestFactory
from django_htmx.middleware import HtmxMiddleware

from ui.htmx import redirect_to, wants_fragment
from ui.middleware import FragmentMiddleware

HTMX = {"HX-Request": "true"}


def request_with(headers, *, method="get", path="/"):
    request = getattr(RequestFactory(headers=headers), method)(path)
    HtmxMiddleware(lambda _request: HttpResponse())(request)
    request.session = {}
    request._messages = FallbackStorage(request)
    return request


@pytest.mark.parametrize(
    ("headers", "fragment"),
    [
        ({}, False),
        (HTMX, True),
        ({**HTMX, "HX-Boosted": "true"}, False),
        ({**HTMX, "HX-History-Restore-Request": "true"}, False),
    ],
)
def test_only_a_plain_htmx_request_gets_the_fragment(headers, fragment):
    assert wants_fragment(request_with(headers)) is fragment


def test_redirect_speaks_the_language_of_the_asker():
    plain = redirect_to(request_with({}), "/orders/")
    assert (plain.status_code, plain["Location"]) == (302, "/orders/")
    htmx = redirect_to(request_with(HTMX), "/orders/")
    assert (htmx.status_code, htmx["HX-Redirect"]) == (200, "/orders/")


def answer(request, response):
    return FragmentMiddleware(lambda _request: response)(request)


def test_every_answer_varies_by_hx_request():
    assert "HX-Request" in answer(request_with({}), HttpResponse("x"))["Vary"]


def test_a_logged_out_fragment_sends_the_whole_page_to_the_log_in():
    request = request_with({**HTMX, "HX-Current-URL": "http://testserver/orders/?symbol=A"})
    response = answer(request, HttpResponse(status=302, headers={"Location": "/accounts/login/?next=/x"}))
    assert response.status_code == 200
    assert response["HX-Redirect"] == "/accounts/login/?next=%2Forders%2F%3Fsymbol%3DA"


def test_the_answer_to_an_act_carries_its_messages():
    request = request_with(HTMX, method="post")
    messages.success(request, "Done <b>")
    text = answer(request, HttpResponse("<p>part</p>")).content.decode()
    assert text.startswith("<p>part</p>")
    assert 'hx-swap-oob="true"' in text
    assert "Done &lt;b&gt;" in text


def test_a_poll_does_not_swallow_a_message():
    request = request_with(HTMX)
    messages.success(request, "Done")
    assert answer(request, HttpResponse("part")).content == b"part"


def test_a_redirect_keeps_the_messages_for_the_page_it_leads_to():
    request = request_with(HTMX, method="post")
    messages.success(request, "Done")
    assert b"Done" not in answer(request, redirect_to(request, "/")).content
