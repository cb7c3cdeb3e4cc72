"""Whose a difference is, what people say about it, and the end of ignoring it."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from reconciliation.errors import ReconciliationError
from reconciliation.ignoring import ignore_drift, stop_ignoring
from reconciliation.looking_after import assign_drift
from reconciliation.models import Drift, DriftComment, Fix, IgnoreRule
from tests.factories import make_account
from tests.reconciliation.rows import HTMX, INDEX, make_cause, make_run, page
from tests.reconciliation.steps import open_books, open_roots, placed, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def drift(account: Account) -> Drift:
    return make_cause(make_run(account), "QCOM").drifts.get()


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def path_of(drift: Drift, act: str) -> str:
    return f"/reconciliation/drifts/{drift.pk}/{act}/"


def ignore(drift: Drift) -> None:
    now = timezone.now()
    ignore_drift(drift=drift, actor="admin", reason="A transfer", until=now + timedelta(days=3), now=now)


@pytest.mark.parametrize("act", ["assign", "comment", "unignore"])
def test_who_may_act_and_who_may_not(people: SimpleNamespace, drift: Drift, act: str) -> None:
    data = {"whom": "me", f"was-{drift.pk}": "", f"comment-{drift.pk}": "Looking"}
    client = Client()
    assert client.post(path_of(drift, act), data)["Location"].startswith("/accounts/login/")
    client.force_login(people.trader)
    assert client.post(path_of(drift, act), data).status_code == 403
    assert not AuditEntry.objects.exists()
    for person in (people.ops, people.admin):
        client.force_login(person)
        assert client.post(path_of(drift, act), data)["Location"] == INDEX
        assert client.get(path_of(drift, act)).status_code == 405


def test_a_trader_sees_whose_it_is_and_what_was_said_and_why_there_is_no_button(
    people: SimpleNamespace, drift: Drift
) -> None:
    Drift.objects.filter(pk=drift.pk).update(assigned_to="ops")
    DriftComment.objects.create(drift=drift, at=timezone.now(), author="ops", text="Alpaca is asked")
    client = Client()
    client.force_login(people.trader)
    text = page(client)
    assert "Assigned to <strong>ops</strong>" in text
    assert "Alpaca is asked" in text
    assert "are for the groups ops and admin" in text
    assert "<textarea" not in text
    assert "drift-act" not in text


def test_one_takes_it_and_it_is_among_theirs(ops: Client, account: Account, drift: Drift) -> None:
    make_cause(make_run(account), "NVDA")
    answer = ops.post(path_of(drift, "assign"), {"whom": "me", f"was-{drift.pk}": ""}, headers=HTMX)
    assert b"QCOM is assigned to ops." in answer.content
    drift.refresh_from_db()
    assert drift.assigned_to == "ops"
    mine, nobodys = page(ops, f"{INDEX}?whose=mine"), page(ops, f"{INDEX}?whose=nobody")
    assert ("to buy 10 QCOM" in mine, "to buy 10 NVDA" in mine) == (True, False)
    assert ("to buy 10 QCOM" in nobodys, "to buy 10 NVDA" in nobodys) == (False, True)
    for text in (mine, nobodys):
        assert "<strong>2</strong> causes" in text, "a filter makes no difference smaller"
        assert "Approve 1 " in text
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.before, entry.after) == ("drift.assigned", {"assigned_to": ""}, {"assigned_to": "ops"})


def test_another_run_leaves_it_with_whose_it_is(people: SimpleNamespace, sim_account: Account, sim: SimAccount) -> None:
    open_books(sim_account)
    placed(sim)
    reconcile(sim_account)
    assign_drift(drift=open_roots(sim_account)[0], to="ops", was="", actor="ops", now=timezone.now())
    reconcile(sim_account)
    assert [drift.assigned_to for drift in open_roots(sim_account)] == ["ops"]


@pytest.mark.parametrize(("to", "is_taken"), [("admin", True), ("", True), ("trader", False), ("gone", False)])
def test_it_is_given_to_those_who_may_act_on_it(ops: Client, drift: Drift, to: str, is_taken: bool) -> None:
    Drift.objects.filter(pk=drift.pk).update(assigned_to="ops")
    data = {"whom": "chosen", f"assignee-{drift.pk}": to, f"was-{drift.pk}": "ops"}
    answer = ops.post(path_of(drift, "assign"), data, follow=True).content.decode()
    drift.refresh_from_db()
    assert drift.assigned_to == (to if is_taken else "ops")
    assert ("Nothing was changed." in answer) is not is_taken


def test_of_two_who_take_it_at_once_one_is_told(people: SimpleNamespace, drift: Drift) -> None:
    now = timezone.now()
    assign_drift(drift=drift, to="ops", was="", actor="ops", now=now)
    with pytest.raises(ReconciliationError, match="assigned to ops just now"):
        assign_drift(drift=drift, to="admin", was="", actor="admin", now=now)
    assert AuditEntry.objects.count() == 1


def test_what_is_resolved_is_nobodys_work(people: SimpleNamespace, drift: Drift) -> None:
    Drift.objects.update(state="resolved")
    with pytest.raises(ReconciliationError, match="resolved by now"):
        assign_drift(drift=drift, to="ops", was="", actor="ops", now=timezone.now())


def test_a_comment_is_shown_with_its_author_escaped_and_audited(ops: Client, drift: Drift) -> None:
    data = {f"comment-{drift.pk}": "<script>alert(1)</script> & more"}
    answer = ops.post(path_of(drift, "comment"), data, headers=HTMX).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in answer
    assert "<script>alert" not in answer
    assert "<strong>ops</strong>" in answer
    assert "1 comment<" in answer
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.subject_id) == ("drift.commented", "ops", str(drift.pk))


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 1001])
def test_a_comment_that_says_nothing_or_too_much_is_refused(ops: Client, drift: Drift, text: str) -> None:
    answer = ops.post(path_of(drift, "comment"), {f"comment-{drift.pk}": text}, follow=True)
    assert b"Nothing was changed." in answer.content
    assert not DriftComment.objects.exists()


def test_from_the_page_of_its_fix_one_comes_back_there(ops: Client, drift: Drift) -> None:
    data = {f"comment-{drift.pk}": "Here", "fix_page": drift.fix_id}
    assert ops.post(path_of(drift, "comment"), data)["Location"] == f"/reconciliation/fixes/{drift.fix_id}/"
    assert "Here" in page(ops, f"/reconciliation/fixes/{drift.fix_id}/")


@pytest.mark.parametrize(
    ("at", "target"),
    [
        (f"{INDEX}?whose=mine&fields=all", f"{INDEX}?whose=mine&fields=all"),
        (f"https://elsewhere.example{INDEX}", INDEX),
        (f"//elsewhere.example{INDEX}", INDEX),
        ("/admin/", INDEX),
        ("http://[", INDEX),
    ],
)
def test_without_javascript_one_comes_back_to_the_same_view(ops: Client, drift: Drift, at: str, target: str) -> None:
    assert ops.post(path_of(drift, "comment"), {f"comment-{drift.pk}": "x", "at": at})["Location"] == target


def test_ignoring_ends_by_hand_and_the_fix_waits_again(ops: Client, drift: Drift) -> None:
    ignore(drift)
    text = page(ops)
    for words in ("Ignored for now: 1", "A transfer", "admin", "Stop ignoring"):
        assert words in text
    assert not Fix.objects.proposed().exists()
    ops.post(path_of(drift, "unignore"))
    ops.post(path_of(drift, "unignore"))
    assert Drift.objects.filter(state="open").count() == 2, "with what follows from it"
    assert Fix.objects.proposed().exists()
    entry = AuditEntry.objects.get(action="drift.ignoring_ended")
    assert entry.before["reason"] == "A transfer"


def test_what_a_rule_hides_ends_with_its_rule(ops: Client, account: Account, drift: Drift) -> None:
    now = timezone.now()
    rule = IgnoreRule.objects.create(
        account=account, kind=drift.kind, reason="known", owner="admin", created_at=now, expires_at=now
    )
    ignore(drift)
    Drift.objects.filter(pk=drift.pk).update(ignored_by_rule=rule)
    drift.refresh_from_db()
    with pytest.raises(ReconciliationError, match="Ignore rule"):
        stop_ignoring(drift=drift, actor="ops", now=now)
    text = page(ops)
    assert "ends with its rule" in text
    assert "Stop ignoring" not in text
