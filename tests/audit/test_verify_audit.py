"""`manage.py verify_audit` finds whatever somebody with the owner's rights does to the journal."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit.append_only import removals, statements
from audit.chain import EMPTY, current_head
from audit.digests import content_digest
from audit.models import AuditEntry, AuditLink
from tests.audit.breaking import make_entries, tamper

pytestmark = pytest.mark.django_db(transaction=True)


def verify(*args: str) -> tuple[int, dict[str, Any]]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", "--json", *args, stdout=out)
    return int(ended.value.code or 0), json.loads(out.getvalue())


def sentence() -> str:
    status, found = verify()
    assert status == 1
    assert found["state"] == "broken"
    return found["broken"]["sentence"]


def test_an_empty_journal_is_proven():
    assert verify() == (
        0,
        {
            "state": "proven",
            "entries": 0,
            "head": {"sequence": 0, "digest": EMPTY.digest},
            "broken": None,
            "missing_triggers": [],
        },
    )


def test_what_was_written_is_proven_and_the_head_is_told():
    make_entries()
    status, found = verify()
    assert (status, found["state"], found["entries"], found["head"]["sequence"]) == (0, "proven", 6, 6)
    assert verify("--head", str(current_head()), "--since", "4")[1]["entries"] == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00"),
        ("actor", "trader"),
        ("action", "fix.proposed"),
        ("account", "live"),
        ("subject_type", "run"),
        ("subject_id", "7"),
        ("summary", "Nothing happened"),
        ("reason", "wrong"),
        ("before", '{"qty": "1.11"}'),
        ("after", "null"),
        ("correlation_id", ""),
        ("digest", "0" * 64),
    ],
)
def test_each_changed_field_is_found(column, value):
    entry = make_entries()[2]
    tamper((f'UPDATE audit_auditentry SET "{column}" = %s WHERE id = %s', [value, entry.pk]))
    assert sentence().startswith(f"Entry {entry.pk} (")
    assert verify()[1]["broken"]["sequence"] == 3


def test_a_changed_entry_with_the_digest_of_its_new_words_is_found():
    entry = make_entries()[2]
    entry.actor = "trader"
    tamper(
        ("UPDATE audit_auditentry SET actor = 'trader', digest = %s WHERE id = %s", [content_digest(entry), entry.pk])
    )
    assert sentence() == f"Link 3 is not that of entry {entry.pk}: another entry was put in its place."


def test_words_that_are_no_json_any_more_are_a_find_and_no_crash(sqlite_only):
    entry = make_entries()[2]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
    tamper(("UPDATE audit_auditentry SET before = '{broken' WHERE id = %s", [entry.pk]))
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = OFF")
    assert sentence().startswith(f"Entry {entry.pk} (")


@pytest.mark.parametrize("value", ["yesterday", "2025-13-45 00:00:00"])
def test_a_time_that_is_none_any_more_is_a_find_and_no_crash(sqlite_only, value):
    entry = make_entries()[2]
    tamper(("UPDATE audit_auditentry SET at = %s WHERE id = %s", [value, entry.pk]))
    assert f"Entry {entry.pk} " in sentence()


def test_a_removed_entry_is_found():
    entry = make_entries()[2]
    tamper(("DELETE FROM audit_auditlink WHERE entry_id = %s", [entry.pk]))
    after = AuditLink.objects.get(sequence=4).entry_id
    assert sentence() == f"Link 3 is gone: entries were removed before entry {after}."
    tamper(("DELETE FROM audit_auditentry WHERE id = %s", [entry.pk]))
    assert sentence().startswith("Link 3 is gone")
    tamper(("DELETE FROM audit_auditlink WHERE sequence = %s", [4]))
    assert sentence().startswith("Links 3 to 4 are gone")


def test_a_removed_entry_is_found_when_those_after_it_move_up():
    entry = make_entries()[2]
    tamper(
        ("DELETE FROM audit_auditlink WHERE entry_id = %s", [entry.pk]),
        ("DELETE FROM audit_auditentry WHERE id = %s", [entry.pk]),
        "UPDATE audit_auditlink SET sequence = 3 WHERE sequence = 4",
        "UPDATE audit_auditlink SET sequence = 4 WHERE sequence = 5",
        "UPDATE audit_auditlink SET sequence = 5 WHERE sequence = 6",
    )
    assert sentence() == "Link 3 does not follow link 2: one of them was changed or put in."


def test_a_tail_that_was_cut_off_is_found_by_a_head_that_was_noted_elsewhere():
    entries = make_entries()
    noted = str(current_head())
    assert verify("--head", noted)[0] == 0
    last = [entry.pk for entry in entries[-2:]]
    tamper(
        "DELETE FROM audit_auditlink WHERE sequence > 4",
        ("DELETE FROM audit_auditentry WHERE id IN (%s, %s)", last),
    )
    assert verify()[0] == 0  # from within nobody can see it
    status, found = verify("--head", noted)
    assert status == 1
    assert found["broken"]["sentence"] == "The chain ends at 4, and 6 was noted: its end was cut off."
    make_entries(4)  # and it stays found when it grew again
    status, found = verify("--head", noted)
    assert (status, found["broken"]["sentence"]) == (
        1,
        "Link 6 is not the one that was noted: the chain was written anew.",
    )
    assert verify("--since", "6", "--head", noted)[0] == 1


def test_an_entry_that_was_put_in_past_the_software_is_found():
    make_entries()
    columns = "at, actor, action, account, subject_type, subject_id, summary, reason, before, after, correlation_id"
    with connection.cursor() as cursor:  # nobody needs to take a trigger away for that
        cursor.execute(
            f"INSERT INTO audit_auditentry ({columns}, digest) "
            f"SELECT {columns}, '' FROM audit_auditentry WHERE actor = 'ops' LIMIT 1"
        )
    put_in = AuditEntry.objects.latest("pk").pk
    assert f"ntry {put_in} " in sentence()


def test_an_entry_whose_link_was_removed_at_the_end_is_found():
    last = make_entries()[-1]
    tamper("DELETE FROM audit_auditlink WHERE sequence = 6")
    assert sentence() == f"Entry {last.pk} is in no link: it was put in past the software, or its link removed."


def test_swapped_entries_are_found():
    entries = make_entries()
    second, third = entries[1].pk, entries[2].pk
    columns = ("at", "summary", "reason", "subject_id", "after", "digest", "correlation_id")
    swapped = ", ".join(
        f"{column} = (SELECT other.{column} FROM audit_auditentry other WHERE other.id = {second + third} - self.id)"
        for column in columns
    )
    tamper(f"UPDATE audit_auditentry AS self SET {swapped} WHERE id IN ({second}, {third})")
    assert sentence() == f"Link 2 is not that of entry {second}: another entry was put in its place."


def test_swapped_links_are_found():
    make_entries()
    tamper(
        "UPDATE audit_auditlink SET sequence = 99 WHERE sequence = 2",
        "UPDATE audit_auditlink SET sequence = 2 WHERE sequence = 3",
        "UPDATE audit_auditlink SET sequence = 3 WHERE sequence = 99",
    )
    assert sentence() == "Link 2 does not follow link 1: one of them was changed or put in."


def test_triggers_that_were_taken_away_are_told():
    make_entries()
    with connection.cursor() as cursor:
        for statement in removals(connection.vendor):
            cursor.execute(statement)
    status, found = verify()
    for statement in statements(connection.vendor):
        with connection.cursor() as cursor:
            cursor.execute(statement)
    assert (status, found["state"], found["broken"]) == (1, "broken", None)
    assert len(found["missing_triggers"]) == (6 if connection.vendor == "sqlite" else 5)


def test_a_trigger_that_was_hollowed_out_is_told(sqlite_only):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_auditentry_no_update")
        cursor.execute(
            "CREATE TRIGGER audit_auditentry_no_update BEFORE UPDATE ON audit_auditentry BEGIN SELECT 1; END"
        )
    status, found = verify()
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_auditentry_no_update")
        cursor.execute(next(text for text in statements("sqlite") if "audit_auditentry_no_update" in text))
    assert (status, found["missing_triggers"]) == (1, ["audit_auditentry_no_update"])
    assert verify()[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
        "ALTER TABLE audit_auditentry ENABLE REPLICA TRIGGER audit_auditentry_no_change",
    ],
)
def test_a_trigger_that_was_hollowed_out_is_told_on_postgresql(change):
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(change)
    assert "audit_auditentry_no_change" in verify()[1]["missing_triggers"]
    tamper()  # puts them back as they are to be
    assert verify()[0] == 0


def test_an_entry_put_in_with_a_link_before_the_first_is_found():
    make_entries()
    columns = "at, actor, action, account, subject_type, subject_id, summary, reason, before, after, correlation_id"
    with transaction.atomic(), connection.cursor() as cursor:  # an insert is what no trigger refuses
        cursor.execute("SELECT max(id) + 1000 FROM audit_auditentry")
        put_in = cursor.fetchone()[0]
        link = "INSERT INTO audit_auditlink (sequence, entry_id, previous, digest) VALUES (0, %s, 'x', 'y')"
        cursor.execute(link, [put_in])
        cursor.execute(
            f"INSERT INTO audit_auditentry (id, {columns}, digest) "
            f"SELECT %s, {columns}, '' FROM audit_auditentry WHERE actor = 'ops' LIMIT 1",
            [put_in],
        )
    assert sentence().startswith(f"Entry {put_in} has link 0, ")


def test_a_link_whose_number_is_none_is_a_find_and_no_crash(sqlite_only):
    make_entries()
    tamper("UPDATE audit_auditlink SET sequence = 'six' WHERE sequence = 6")
    assert "has no number but 'six'" in sentence()


def test_every_noted_head_is_asked_for_wherever_reading_was_to_begin():
    make_entries()
    links = {link.sequence: str(link) for link in AuditLink.objects.all()}
    assert verify("--since", "5", "--head", links[3])[0] == 0
    wrong = f"3:{'1' * 64}"
    status, found = verify("--since", "5", "--head", wrong)
    assert (status, found["broken"]["sequence"]) == (1, 3)
    for heads in ((wrong, links[3]), (links[3], wrong)):
        assert verify("--head", heads[0], "--head", heads[1])[0] == 1


@pytest.mark.parametrize("head", ["x", "1", f"1:{'g' * 64}", f"-1:{'0' * 64}", "1:abc"])
def test_a_head_that_is_none_is_refused_with_a_sentence(head):
    with pytest.raises(CommandError, match="no head"):
        call_command("verify_audit", f"--head={head}")


def test_a_link_to_begin_with_that_is_not_there_is_told():
    make_entries(2)
    assert verify("--since", "9")[1]["broken"]["sentence"] == "Link 9 is not there."


def test_more_entries_than_are_read_at_once(monkeypatch):
    monkeypatch.setattr("audit.verifying._AT_ONCE", 4)
    make_entries(10)
    assert verify()[1]["entries"] == 10


def test_people_are_told_in_words():
    entry = make_entries()[2]
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert out.getvalue() == f"6 entries proven. Head: {current_head()}\n"
    tamper(("UPDATE audit_auditentry SET actor = 'trader' WHERE id = %s", [entry.pk]))
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert out.getvalue().startswith(
        f"BROKEN. Entry {entry.pk} (2025-11-07 14:30:02.000007+00:00, trader, fix.applied)"
    )
