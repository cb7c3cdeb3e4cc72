"""Approving on the page: nothing is approved but what was shown, once, by whom it may be."""

import re
from types import SimpleNamespace

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEntry
from broker.models import Account
from positions.rebuilding import rebuild_positions
from reconciliation.models import Fix
from tests.conftest import PASSWORD
from tests.factories import make_account, make_adjustment
from tests.reconciliation.rows import (
    APPROVE,
    HTMX,
    INDEX,
    make_cause,
    make_run,
    page,
    shown,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def test_one_click_approves_what_was_shown_and_queues_it(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    answer = ops.post(APPROVE, {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"}, headers=HTMX)
    fix.refresh_from_db()
    assert (fix.state, fix.approved_by) == ("approved", "ops")
    assert b"Approved: Record our order buy 10 QCOM" in answer.content
    assert b'data-state="approved"' in answer.content
    assert AuditEntry.objects.get().action == "fix.approved"
    assert OrmQ.objects.count() == 1


def test_without_confirmation_the_consequence_is_shown_first(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    answer = ops.post(APPROVE, {"only": fix.pk, "shown": shown(fix)})
    text = answer.content.decode()
    assert "QCOM becomes an open position of 10 at 100.00, risk $80.00." in text
    fix.refresh_from_db()
    assert fix.state == "proposed"
    ops.post(APPROVE, {"scope": "listed", "shown": shown(fix), "confirmed": "yes"})
    fix.refresh_from_db()
    assert fix.state == "approved"


def test_selected_ones_are_approved(ops: Client, account: Account) -> None:
    run = make_run(account)
    first, second, third = (make_cause(run, symbol) for symbol in ("A", "B", "C"))
    data = {"scope": "selected", "fix": [first.pk, third.pk], "shown": shown(first, second, third), "confirmed": "yes"}
    ops.post(APPROVE, data)
    assert set(Fix.objects.filter(state="approved")) == {first, third}


def test_selecting_nothing_approves_nothing(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    answer = ops.post(APPROVE, {"scope": "selected", "shown": shown(fix), "confirmed": "yes"}, headers=HTMX)
    assert b"no fix was selected" in answer.content
    assert not Fix.objects.filter(state="approved").exists()


def test_safe_copies_leave_out_what_needs_judgement(ops: Client, account: Account) -> None:
    run = make_run(account)
    safe, unsafe = make_cause(run, "A"), make_cause(run, "B", is_safe_copy=False)
    text = page(ops)
    assert 'id="approve-safe"' in text
    assert 'id="approve-all"' in text
    ops.post(APPROVE, {"scope": "safe", "shown": shown(safe, unsafe), "confirmed": "yes"})
    assert list(Fix.objects.filter(state="approved")) == [safe]


def test_all_means_all_that_were_shown(ops: Client, account: Account) -> None:
    run = make_run(account)
    seen, unseen = make_cause(run, "A"), make_cause(run, "B")
    ops.post(APPROVE, {"scope": "all", "shown": shown(seen), "confirmed": "yes"})
    assert list(Fix.objects.filter(state="approved")) == [seen]
    assert unseen in Fix.objects.filter(state="proposed")


def test_many_ask_for_their_number(ops: Client, account: Account) -> None:
    run = make_run(account)
    fixes = [make_cause(run, f"S{index}") for index in range(11)]
    button = re.search(r'<button[^>]*id="approve-all"[^>]*>', page(ops))
    assert button
    assert 'data-confirm-type="11"' in button.group()
    listed = ops.post(APPROVE, {"scope": "all", "shown": shown(*fixes)}).content.decode()
    assert "Type 11 to approve them all" in listed
    data = {"scope": "listed", "shown": shown(*fixes), "confirmed": "yes"}
    wrong = ops.post(APPROVE, {**data, "typed_count": "10"})
    assert b"expected 11, found 10" in wrong.content
    assert not Fix.objects.filter(state="approved").exists()
    ops.post(APPROVE, {**data, "typed_count": "11"})
    assert Fix.objects.filter(state="approved").count() == 11


def test_a_picture_that_changed_is_refused_and_shown_anew(ops: Client, account: Account) -> None:
    run = make_run(account)
    fix, other = make_cause(run, "QCOM"), make_cause(run, "NVDA")
    before = shown(fix, other)
    Fix.objects.filter(pk=fix.pk).update(fingerprint="moved")
    answer = ops.post(APPROVE, {"scope": "all", "shown": before, "confirmed": "yes"}, headers=HTMX)
    text = answer.content.decode()
    assert "Nothing was approved." in text
    assert "changed since it was shown to you" in text
    assert f"{fix.pk}:moved" in text, "the new picture can be approved"
    assert not Fix.objects.filter(state="approved").exists()


def test_a_void_fix_is_refused_with_its_reason(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM", state="stale", outcome="Alpaca moved.")
    answer = ops.post(APPROVE, {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"}, follow=True)
    assert b"is stale. Alpaca moved." in answer.content


def test_approving_without_having_seen_is_refused(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    ops.post(APPROVE, {"only": fix.pk, "shown": "nonsense,1:,:2", "confirmed": "yes"})
    fix.refresh_from_db()
    assert fix.state == "proposed"


def test_approving_twice_is_approving_once(ops: Client, people: SimpleNamespace, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    data = {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"}
    ops.post(APPROVE, data)
    second = Client()
    assert second.login(username=people.admin.username, password=PASSWORD)
    assert b"nothing was done twice" in second.post(APPROVE, data, follow=True).content
    fix.refresh_from_db()
    assert fix.approved_by == "ops"
    assert AuditEntry.objects.filter(action="fix.approved").count() == 1


def test_fixes_of_another_account_are_out_of_reach(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(make_account("other")), "QCOM")
    ops.post(APPROVE, {"only": fix.pk, "shown": shown(fix), "confirmed": "yes", "account": account.slug})
    fix.refresh_from_db()
    assert fix.state == "proposed"


# --- Beyond the wipe-out guard ------------------------------------------------------------------------------------


@pytest.fixture
def closing(account: Account) -> list[Fix]:
    """Three fixes, each of which closes one of four open positions."""
    run = make_run(account)
    for symbol in ("A", "B", "C", "D"):
        make_adjustment(account, symbol=symbol, qty="10", price="100", kind="correction")
    rebuild_positions(account=account, symbols=set("ABCD"), now=timezone.now())
    held = {"position": {"state": "open", "qty": "10"}}
    return [
        make_cause(run, s, before=held, after={"position": {"state": "closed", "qty": "0"}}) for s in ("A", "B", "C")
    ]


def test_too_many_positions_at_once_ask_for_a_reason_on_the_board(ops: Client, closing: list[Fix]) -> None:
    data = {"scope": "all", "shown": shown(*closing), "confirmed": "yes"}
    answer = ops.post(APPROVE, data, headers=HTMX).content.decode()
    assert "3 of 4 open positions (A, B, C)" in answer
    assert 'name="guard_count"' in answer
    assert not Fix.objects.filter(state="approved").exists()


@pytest.mark.parametrize(
    ("reason", "typed", "approved"), [("", "3", 0), ("right so", "", 0), ("right so", "4", 0), ("right so", "3", 3)]
)
def test_reason_and_number_must_both_be_given(
    ops: Client, closing: list[Fix], reason: str, typed: str, approved: int
) -> None:
    data = {"scope": "listed", "shown": shown(*closing), "confirmed": "yes", "at": INDEX}
    answer = ops.post(APPROVE, {**data, "override_reason": reason, "guard_count": typed})
    assert Fix.objects.filter(state="approved").count() == approved
    if not approved:
        text = answer.content.decode()
        assert "This needs a reason" in text
        assert ("expected 3" in text) is bool(reason)
    else:
        assert set(AuditEntry.objects.values_list("reason", flat=True)) == {"right so"}
        assert set(Fix.objects.values_list("override_reason", flat=True)) == {"right so"}
