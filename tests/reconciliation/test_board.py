"""The board's sums, its refusals with the new picture beside the old one, two people, and what it costs."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from broker.models import Account
from reconciliation.balance import balance_of
from reconciliation.models import BackfillPolicy, Drift, DriftComment, Fix
from tests.factories import make_account
from tests.reconciliation.rows import APPROVE, HTMX, INDEX, make_cause, make_drift, make_fix, make_run, page, shown

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


# --- What remains ---------------------------------------------------------------------------------------------


def test_the_line_goes_from_all_remaining_to_all_matched(ops: Client, account: Account) -> None:
    run = make_run(account)
    first, second = make_cause(run, "A"), make_cause(run, "B")
    assert "Matched in 24 h: 0 of 2 causes, $0.00 of $2,000.50" in page(ops)
    for fix, percent in ((first, 50), (second, 100)):
        Drift.objects.filter(symbol=fix.symbol).update(state="resolved", resolved_at=timezone.now())
        assert f'max="100" value="{percent}"' in page(ops)
    assert "<strong>0</strong> causes, <strong>$0.00</strong> not in step" in page(ops)


def test_matched_is_what_stays_away_counted_once_and_lately(account: Account) -> None:
    run, now = make_run(account), timezone.now()
    make_drift(run, "OLD", state="resolved", resolved_at=now - timedelta(hours=25))
    make_drift(run, "BACK", state="resolved", resolved_at=now)
    make_drift(run, "BACK")
    for _ in range(2):
        make_drift(run, "TWICE", state="resolved", resolved_at=now)
    found = balance_of(account, now, [("our_order_unlinked:BACK", None)])
    assert (found.matched, found.remaining) == (1, 1)


def test_it_is_not_full_while_anything_remains(account: Account) -> None:
    run, now = make_run(account), timezone.now()
    make_drift(run, "BIG", state="resolved", resolved_at=now, dollars="1000000")
    assert balance_of(account, now, [("tiny", None)]).percent == 99
    assert balance_of(account, now, []).percent == 100


@pytest.mark.parametrize("whose", ["", "mine", "nobody"])
def test_queries_are_the_same_for_10_and_200_causes(
    ops: Client, account: Account, whose: str, django_assert_max_num_queries: Any
) -> None:
    run, counts = make_run(account), []
    for number in (10, 200):
        for index in range(Drift.objects.roots().count(), number):
            drift = make_cause(run, f"S{index}").drifts.get()
            DriftComment.objects.create(drift=drift, at=timezone.now(), author="ops", text="seen")
            Drift.objects.filter(pk=drift.pk).update(assigned_to="ops" if index % 2 else "")
            make_drift(run, f"I{index}", key=f"i{index}", state="ignored", ignored_reason="known", ignored_by="ops")
            make_drift(run, f"R{index}", key=f"r{index}", state="resolved", resolved_at=timezone.now())
        page(ops, f"{INDEX}?whose={whose}")  # sessions and content types are warm
        with django_assert_max_num_queries(60) as seen:
            page(ops, f"{INDEX}?whose={whose}")
        counts.append(len(seen))
    assert counts[0] == counts[1]


# --- The card -------------------------------------------------------------------------------------------------


def test_a_new_order_is_told_in_one_line_and_its_fields_are_folded(ops: Client, account: Account) -> None:
    order = {"side": "buy", "qty": "74", "symbol": "QCOM", "status": "filled", "filled_qty": "74"}
    after = {"order": {**order, "filled_avg_price": "172.3"}, "position": {"state": "open", "qty": "74"}}
    run = make_run(account)
    make_drift(run, "QCOM", fix=make_fix(run, "QCOM", broker=after, after=after))
    text = page(ops)
    assert "Adds the order: <strong>buy 74 QCOM, filled 74 at 172.30</strong>" in text
    assert '<td class="is-after">74</td>' in text


def test_each_card_can_be_reached_and_approved_by_keys(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    text = page(ops)
    assert f'data-open href="{fix.get_absolute_url()}"' in text
    assert f'id="backfill-{fix.pk}" data-approve' in text


# --- A picture that went stale ----------------------------------------------------------------------------------


def gone_stale(account: Account, qty: str = "12") -> tuple[Fix, Fix]:
    run = make_run(account)
    drift = make_cause(run, "QCOM", state="stale", outcome="Alpaca moved since it was shown.").drifts.get()
    after = {"order": {"status": "filled"}, "position": {"state": "open", "qty": qty, "avg_entry_price": "101"}}
    new = make_fix(run, "QCOM", fingerprint="as-it-is-now", broker=after, after=after)
    old = Fix.objects.get(state="stale")
    Drift.objects.filter(pk=drift.pk).update(fix=new)
    return old, new


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_a_refusal_shows_the_new_picture_beside_the_old_one(
    ops: Client, account: Account, headers: dict[str, str]
) -> None:
    old, new = gone_stale(account)
    data = {"only": old.pk, "shown": shown(old), "confirmed": "yes"}
    text = ops.post(APPROVE, data, headers=headers).content.decode()
    assert "Nothing was approved. Fix" in text
    assert "Alpaca moved since it was shown." in text
    assert f"As it was shown, fix {old.pk}" in text
    assert '<td class="is-after">10</td>' in text
    assert '<td class="is-after">12</td>' in text
    assert "position qty: 10 → 12" in text
    assert f'name="shown" value="{shown(new)}"' in text
    assert not Fix.objects.filter(state="approved").exists()
    ops.post(APPROVE, {"scope": "listed", "shown": shown(new), "confirmed": "yes"})
    new.refresh_from_db()
    assert new.state == "approved"


def test_a_look_at_the_board_does_not_take_the_refusal_away(ops: Client, account: Account) -> None:
    gone_stale(account)
    assert 'id="refusal"' not in page(ops, headers=HTMX)
    old = Fix.objects.get(state="stale")
    answer = ops.post(APPROVE, {"only": old.pk, "shown": shown(old), "confirmed": "yes"}, headers=HTMX)
    _, _, beside = answer.content.decode().partition('id="reconciliation-news"')
    assert 'id="refusal"' in beside, "it stands beside the region that refreshes itself"


def test_what_else_was_chosen_can_be_approved_with_it(ops: Client, account: Account) -> None:
    old, new = gone_stale(account)
    other = make_cause(new.run, "NVDA")
    data = {"scope": "listed", "shown": shown(old, other), "confirmed": "yes"}
    text = ops.post(APPROVE, data).content.decode()
    assert f'name="shown" value="{shown(new, other)}"' in text
    assert "Approve the 2 as shown now" in text


def test_the_page_of_a_void_fix_shows_what_took_its_place(ops: Client, account: Account) -> None:
    old, new = gone_stale(account)
    text = page(ops, old.get_absolute_url())
    assert f"As it was shown, fix {old.pk}" in text
    assert f'id="approve-{new.pk}"' in text
    Fix.objects.filter(pk=new.pk).update(state="withdrawn")
    assert "No fix is proposed in its place" in page(ops, old.get_absolute_url())


# --- From the page of the fix, and two people ---------------------------------------------------------------------


def test_a_fix_is_approved_on_its_own_page(ops: Client, account: Account) -> None:
    fix = make_cause(make_run(account), "QCOM")
    text = page(ops, fix.get_absolute_url())
    assert f'id="approve-{fix.pk}" data-approve' in text
    data = {"scope": "listed", "shown": shown(fix), "confirmed": "yes", "fix_page": "yes"}
    assert ops.post(APPROVE, data)["Location"] == fix.get_absolute_url()
    fix.refresh_from_db()
    assert fix.state == "approved"


def test_two_people(ops: Client, people: SimpleNamespace, account: Account) -> None:
    BackfillPolicy.objects.create(
        account=account, kind="", mode="two_people", updated_at=timezone.now(), updated_by="admin"
    )
    fix = make_cause(make_run(account), "QCOM")
    data = {"only": fix.pk, "shown": shown(fix), "confirmed": "yes"}
    assert b"Requested by you" in ops.post(APPROVE, data, headers=HTMX).content
    mine = page(ops)
    assert "Requested by ops" in mine
    assert "somebody else must approve it" in mine
    assert f'id="backfill-{fix.pk}"' not in mine
    assert 'id="approve-all"' not in mine
    ops.post(APPROVE, data)
    fix.refresh_from_db()
    assert fix.state == "proposed"
    other = Client()
    other.force_login(people.admin)
    assert f'id="backfill-{fix.pk}"' in page(other)
    other.post(APPROVE, data)
    fix.refresh_from_db()
    assert (fix.state, fix.requested_by, fix.approved_by) == ("approved", "ops", "admin")
