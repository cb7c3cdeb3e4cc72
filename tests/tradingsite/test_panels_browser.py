"""Every state of the panels that a decision is made on, in a real browser: in the light, the dark, narrow, wide."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from broker.models import Account
from reconciliation.models import BackfillPolicy, Drift, Fix, IgnoreRule, Run
from tests.factories import make_account
from tests.reconciliation.rows import make_cause, make_drift, make_fix, make_run
from tests.tradingsite.browsing import CHROMIUM, Reader
from tradingsite.people import BROKER, ensure_person

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]
BOARD = "/reconciliation/"
STOP = {"side": "sell", "symbol": "QCOM", "order_type": "stop", "order_class": "", "qty": "10", "stop_price": "92"}
NAME = "sell 10 QCOM, stop 92"
CANCEL = {"op": "cancel_order", "name": NAME, "symbol": "QCOM", "broker_order_id": "b1", "was": STOP}
PAIR = {
    "op": "place_protection",
    "side": "sell",
    "qty": "10",
    "symbol": "QCOM",
    "stop_price": "92",
    "target_price": "116",
}
SWAP = {**PAIR, "instead_of": [{"name": NAME, "was": STOP, "broker_order_id": "b1"}]}
ACTS: dict[str, dict[str, Any]] = {
    "cancel an orphan": {"plan": [CANCEL], "broker": {"order": STOP}, "after": {"order": {**STOP, "status": "gone"}}},
    "place an OCO": {"plan": [PAIR], "broker": {"order": {}}, "after": {"order": {**STOP, "order_class": "oco"}}},
    "swap a stop for an OCO": {"plan": [SWAP], "broker": {"order": STOP}, "after": {"order": {**STOP, "qty": "12"}}},
}  # fmt: skip


@pytest.fixture
def account(people: Any) -> Account:
    ensure_person(username="ops", group=BROKER)
    return make_account()


def acting(run: Run, what: str, **fields: Any) -> Fix:
    """A fix that acts at Alpaca, with the difference that it repairs."""
    facts = {"title": what.capitalize(), "is_safe_copy": False, "before": {"order": {}}, **ACTS[what], **fields}
    fix = make_fix(run, "QCOM", acts_at_broker=True, key=f"{what}:{run.fixes.count()}", **facts)
    make_drift(run, "QCOM", fix=fix, key=fix.key, kind="orphan_exit", group="protection", severity="critical")
    return fix


def look(reader: Reader, what: str) -> Iterator[str]:
    """Return what is wrong with the page that is open, in each of its looks, without loading it anew."""
    page = reader.page
    yield from (f"{what}: {finding}" for finding in reader.findings())
    page.emulate_media(color_scheme="dark")
    yield from (f"{what}, dark: {finding}" for finding in reader.findings(rules=["color-contrast"]))
    for width in (2560, 360):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            yield f"{what} is {wide} px too wide at {width}"
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")


def fix_pages(run: Run) -> dict[str, Fix]:
    """A fix in each state of its life, and those that two people decide on."""
    now = timezone.now()
    done = {"approved_by": "ops", "approved_at": now, "applied_at": now, "verification_run": run}
    asked = {"requested_at": now, "requested_by": "ops"}
    return {
        "proposed": make_cause(run, "PROP"),
        "requested by me": make_cause(run, "MINE", **asked),
        "requested by another": make_cause(run, "THEY", **{**asked, "requested_by": "admin"}),
        "approved": make_cause(run, "APPR", state="approved", approved_by="ops", approved_at=now),
        "verified": make_cause(run, "VERI", state="verified", verified_at=now, **done),
        "failed": make_cause(run, "FAIL", state="failed", outcome="Alpaca holds 9.", **done),
        "undone": make_cause(run, "UNDO", state="undone", undone_by="ops", undone_at=now, **done),
        "undo asked by another": make_cause(
            run, "TWOP", state="verified", verified_at=now, undo_requested_by="admin", undo_requested_at=now, **done
        ),
        "stale": make_cause(run, "STAL", state="stale", outcome="Alpaca moved since it was shown."),
        **{what: acting(run, what) for what in ACTS},
        "an act that was verified": acting(run, "cancel an orphan", state="verified", verified_at=now, **done),
        "an act that failed": acting(run, "place an OCO", state="failed", outcome="Alpaca refused it.", **done),
    }


def test_a_fix_in_each_state(reader: Any, account: Account) -> None:
    person = reader().log_in("ops")
    found: list[str] = []
    for state, fix in fix_pages(make_run(account)).items():
        page = person.open(fix.get_absolute_url())
        expect(page.get_by_role("heading", level=1, name=fix.title)).to_be_visible()
        found += look(person, state)
    person.open(f"{BOARD}?fields=all")
    found += look(person, "the board with all of them")
    assert not found, "\n".join(found)


def test_an_act_whose_symbol_is_mistyped(reader: Any, account: Account) -> None:
    fix = acting(make_run(account), "cancel an orphan")
    person = reader().log_in("ops")
    page = person.open(fix.get_absolute_url())
    page.get_by_label("Type QCOM to go on").fill("NVDA")
    page.get_by_role("button", name="Do it at Alpaca").click()
    expect(page.locator("#id_typed_symbol_error")).to_be_visible()
    found = list(look(person, "mistyped"))
    assert not found, "\n".join(found)


def test_an_act_for_somebody_who_may_not(reader: Any, account: Account) -> None:
    person = reader().log_in("admin")
    page = person.open(acting(make_run(account), "place an OCO").get_absolute_url())
    expect(page.locator("#who-may")).to_contain_text("You may not approve it.")
    found = list(look(person, "who may"))
    assert not found, "\n".join(found)


@pytest.fixture
def barred(account: Account) -> Fix:
    """Every time of the day is barred but one minute that is not now."""
    minute = (timezone.localtime() - timedelta(hours=3)).time().replace(second=0, microsecond=0)
    until = minute.replace(minute=(minute.minute + 1) % 60) if minute.minute < 59 else minute.replace(minute=58)
    BackfillPolicy.objects.create(
        account=account, window_from=min(minute, until), window_until=max(minute, until), updated_at=timezone.now()
    )
    return make_cause(make_run(account), "QCOM")


@pytest.mark.parametrize("script", [True, False], ids=["on the board", "on a page"])
def test_what_a_barred_time_holds_back(reader: Any, barred: Fix, script: bool) -> None:
    person = reader(java_script_enabled=script).log_in("ops")
    page = person.open(BOARD if script else barred.get_absolute_url())
    page.get_by_role("button", name="Backfill").first.click()
    if script:
        page.get_by_role("dialog").get_by_role("button", name="Backfill").click()
    reason = page.get_by_label("Why it is right all the same")
    expect(reason).to_be_visible()
    if script:  # axe is a script
        found = list(look(person, "held back"))
        assert not found, "\n".join(found)
    reason.fill("The desk is closed today")
    page.get_by_role("button", name="Approve all the same").click()
    expect(page.get_by_text("Approved:").first).to_be_visible()
    barred.refresh_from_db()
    assert (barred.state, barred.approved_by) == ("approved", "ops")


def test_books_that_begin_anew(reader: Any, account: Account) -> None:
    drift = make_drift(
        make_run(account), "", kind="account_reset", group="evidence", severity="critical",
        broker={"account_number": "PA2"}, sentence="Alpaca answers with account PA2; the books are of PA1.",
    )  # fmt: skip
    person = reader().log_in("ops")
    page = person.open(BOARD)
    page.get_by_role("link", name="Bind the books anew…").click()
    page.get_by_label("Number of the account that answers").fill("PA3")
    page.get_by_label("Why the books begin anew").fill("It was reset")
    found = list(look(person, "re-binding"))
    page.get_by_role("button", name="Archive the old books").click()
    expect(page.get_by_role("alert").filter(has_text="Nothing was changed.")).to_be_visible()
    found += look(person, "re-binding with another number")
    Drift.objects.filter(pk=drift.pk).update(state="resolved", resolved_at=timezone.now())
    person.open(f"{BOARD}drifts/{drift.pk}/rebind/")
    found += look(person, "re-binding that is settled")
    assert not found, "\n".join(found)


def test_what_is_ignored_by_a_rule_and_by_a_person(reader: Any, account: Account) -> None:
    run, now = make_run(account), timezone.now()
    until: dict[str, Any] = {"state": "ignored", "ignored_reason": "Known", "ignored_until": now + timedelta(days=2)}
    rule = IgnoreRule.objects.create(
        account=account, kind="external_order", reason="Known", owner="admin", created_at=now, hidden_count=1,
        expires_at=now + timedelta(days=2),
    )  # fmt: skip
    make_drift(run, "RULE", key="rule", ignored_by="admin", ignored_by_rule=rule, **until)
    drift = make_drift(run, "HAND", key="hand", ignored_by="ops", **until)
    person = reader().log_in("ops")
    page = person.open(BOARD)
    page.locator("#ignored-summary").click()
    expect(page.get_by_text("ends with its rule")).to_be_visible()
    found = list(look(person, "ignored"))
    person.open(f"{BOARD}drifts/{drift.pk}/ignore/")
    found += look(person, "ignored already")
    assert not found, "\n".join(found)
