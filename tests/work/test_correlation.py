"""One id from the click to the fill: made, believed, carried, kept in rows."""

import logging
import threading

import pytest
from django.test import RequestFactory

from audit.models import AuditEntry
from work import correlation
from work.middleware import HEADER, CorrelationMiddleware

FORM = r"[0-9a-f]{32}"


def test_a_thread_begins_without_one_and_does_not_leave_its_own_behind():
    found = []
    with correlation.carrying("of-the-first"):
        thread = threading.Thread(target=lambda: found.append(correlation.current()))
        thread.start()
        thread.join()
        with correlation.carrying("of-the-second"):
            assert correlation.current() == "of-the-second"
        assert correlation.current() == "of-the-first"
    assert (found, correlation.current()) == ([""], "")


def test_a_row_from_before_there_were_ids_keeps_the_id_at_hand():
    with correlation.carrying("at-hand-1"), correlation.carrying("") as id_:
        assert id_ == "at-hand-1"


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 65, "two words", "line\nbreak12", "<script>1", "-dash-first", "é" * 9]
)
def test_what_is_no_id_is_not_taken_for_one(text):
    assert not correlation.is_well_formed(text)


def answer(given: str = "", method: str = "get") -> tuple[str, str]:
    """Return the id within the request, and the one in its answer."""
    from django.http import HttpResponse

    within = []

    def view(_request):
        within.append(correlation.current())
        return HttpResponse()

    headers = {"HTTP_X_REQUEST_ID": given} if given else {}
    response = CorrelationMiddleware(view)(getattr(RequestFactory(), method)("/somewhere/?q=1", **headers))
    assert correlation.current() == ""
    return within[0], response[HEADER]


def test_each_request_has_its_own_and_tells_it():
    first, second = answer(), answer()
    assert first[0] == first[1] != second[1]
    assert len(first[1]) == 32


def test_only_a_proxy_of_our_own_gives_an_id(settings):
    settings.TRUSTED_PROXIES = 0
    assert answer("from-a-stranger")[0] != "from-a-stranger"
    settings.TRUSTED_PROXIES = 1
    assert answer("from-our-proxy")[0] == "from-our-proxy"
    assert answer("two words and <more>")[0] != "two words and <more>"


def test_an_act_has_a_line_with_its_address_and_nothing_of_its_query(caplog):
    caplog.set_level(logging.INFO, "work.middleware")
    answer(method="get")
    assert caplog.messages == []
    answer(method="post")
    assert caplog.messages[0].startswith("POST /somewhere/: 200 in ")


@pytest.mark.django_db
def test_the_journal_has_the_id_of_the_request(client, people):
    from django.utils import timezone

    from audit import journal

    with correlation.carrying("of-this-act"):
        journal.record(at=timezone.now(), actor="ops", action="test.done", summary="Done")
    assert AuditEntry.objects.get(action="test.done").correlation_id == "of-this-act"
