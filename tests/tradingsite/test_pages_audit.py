"""The journal: who did what, filtered, as a file, and never to be changed."""

import csv
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.changes import changes
from audit.journal import record
from audit.models import AuditEntry
from tests.factories import NOW, make_account


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def csv_rows(client, query=""):
    response = client.get(f"/audit/?format=csv&{query}")
    return list(csv.DictReader(b"".join(response.streaming_content).decode().splitlines()))


def write(**fields):
    return record(**{"at": NOW, "actor": "ops", "action": "fix.applied", "summary": "Booked a fill", **fields})


def test_entries_show_who_what_when_and_why(reader):
    entry = write(reason="Alpaca has it", before={"qty": "58"}, after={"qty": "0"}, account="sim")
    text = reader.get("/audit/").content.decode()
    for words in ("ops", "fix.applied", "Booked a fill", "Alpaca has it", "2025-11-07 09:30:00 ET"):
        assert words in text
    assert f'href="/audit/{entry.pk}/"' in text


def test_one_entry_shows_before_and_after_field_by_field(reader):
    before = {"position": {"qty": "58", "state": "open"}}
    entry = write(before=before, after={"position": {"qty": "<b>0", "state": "open"}}, subject_type="fix", subject_id=7)
    write(summary="Undone later", subject_type="fix", subject_id=7)
    text = reader.get(f"/audit/{entry.pk}/").content.decode()
    assert '<td class="is-changed">58</td>' in text
    assert '<td class="is-after">&lt;b&gt;0</td>' in text
    assert "1 field unchanged" in text
    assert "Undone later" in text
    assert reader.get("/audit/999999/").status_code == 404


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (None, None, []),
        ({"a": 1}, None, [("a", "1", None)]),
        (None, {"a": {"b": [1, {"c": True}]}}, [("a.b 1", None, "1"), ("a.b 2.c", None, "True")]),
        ({"b": "1", "a": "2"}, {"a": "3", "c": "4"}, [("b", "1", None), ("a", "2", "3"), ("c", None, "4")]),
        ("x", "y", [("value", "x", "y")]),
        ({"a": {}, "b": None}, {}, []),
    ],
)
def test_changes_are_listed_by_path(before, after, found):
    assert [(change.path, change.before, change.after) for change in changes(before, after)] == found


@pytest.mark.parametrize(
    ("query", "summaries"),
    [
        ("", ["c", "b", "a"]),
        ("sort=at", ["a", "b", "c"]),
        ("actor=admin", ["b"]),
        ("action=batch.recorded", ["c"]),
        ("subject_type=fix&subject_id=7", ["a"]),
        ("q=because", ["b"]),
        ("on=2025-11-06", ["a"]),
        ("on=2025-11-07", ["c", "b"]),
        ("since=2025-11-07", ["c", "b"]),
        ("until=2025-11-06", ["a"]),
        ("since=2025-11-06&until=2025-11-07", ["c", "b", "a"]),
        ("on=2025-13-99", ["c", "b", "a"]),
        ("on=yesterday", ["c", "b", "a"]),
    ],
)
def test_filters_are_the_same_in_page_and_csv(reader, query, summaries):
    # 23:59 in New York is the next day in UTC: days are New York days.
    write(summary="a", at=datetime(2025, 11, 7, 4, 59, tzinfo=UTC), subject_type="fix", subject_id=7)
    write(summary="b", at=datetime(2025, 11, 7, 5, 0, tzinfo=UTC), actor="admin", reason="because")
    write(summary="c", at=datetime(2025, 11, 7, 15, 0, tzinfo=UTC), action="batch.recorded")
    page = reader.get(f"/audit/?{query}")
    assert [entry.summary for entry in page.context["listing"].rows] == summaries
    assert [row["summary"] for row in csv_rows(reader, query)] == summaries


def test_csv_is_safe_to_open(reader):
    write(reason="=1+1")
    (row,) = csv_rows(reader)
    assert row["reason"] == "'=1+1"
    assert row["at"] == "2025-11-07T14:30:00Z"


def test_empty_and_no_match(reader):
    assert 'data-empty="none"' in reader.get("/audit/").content.decode()
    write()
    assert 'data-empty="no-match"' in reader.get("/audit/?actor=nobody").content.decode()


def test_list_asks_the_same_number_of_queries_for_2_and_30_rows(reader):
    make_account()
    for _ in range(2):
        write(before={}, after={})
    with CaptureQueriesContext(connection) as few:
        reader.get("/audit/")
    for _ in range(28):
        write(before={}, after={})
    with CaptureQueriesContext(connection) as many:
        reader.get("/audit/")
    assert len(many) == len(few)


def test_nobody_changes_the_journal_in_the_admin(client, people):
    entry = write()
    people.admin.is_superuser = True
    people.admin.save()
    client.force_login(people.admin)
    path = f"/admin/audit/auditentry/{entry.pk}/"
    assert client.get("/admin/audit/auditentry/").status_code == 200
    assert client.get(f"{path}change/").status_code == 200
    assert client.post(f"{path}change/", {"actor": "x"}).status_code == 403
    assert client.post(f"{path}delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/audit/auditentry/add/").status_code == 403
    assert AuditEntry.objects.get().actor == "ops"


def test_what_concerns_no_account_can_be_chosen_by_a_link_with_words(client, people):
    for account in ("sim", ""):
        write(account=account)
    client.force_login(people.admin)
    assert b'<a href="?account=">no account</a>' in client.get("/admin/audit/auditentry/").content
