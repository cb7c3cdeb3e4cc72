"""The reconciliation board in a real browser: acts in place, drafts that survive a refresh, refusals, no JavaScript."""

import pytest
from playwright.sync_api import expect

from reconciliation.models import Drift, Fix
from tests.factories import make_account
from tests.reconciliation.rows import make_cause, make_fix, make_run
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]
BOARD = "/reconciliation/"


@pytest.fixture
def causes(people):
    run = make_run(make_account())
    return [make_cause(run, symbol) for symbol in ("NVDA", "QCOM")]


def test_one_takes_a_cause_and_comments_while_the_board_refreshes(reader, causes):
    person = reader()
    page = person.log_in("ops").open(f"{BOARD}?fields=all")
    card = page.locator("article.cause", has_text="QCOM")
    card.get_by_role("button", name="Assign to me").click()
    expect(card).to_contain_text("Assigned to ops")
    card.locator("summary", has_text="Assign, comment").click()
    draft = card.get_by_label("Comment")
    draft.fill("<b>Alpaca</b> is asked")
    card.locator("h3 a").focus()
    Drift.objects.filter(symbol="NVDA").update(sentence="Something new about NVDA.")
    expect(page.locator("article.cause", has_text="Something new about NVDA.")).to_be_visible(timeout=15_000)
    expect(draft).to_have_value("<b>Alpaca</b> is asked")
    card.get_by_role("button", name="Add comment").click()
    expect(card.locator(".comments")).to_contain_text("<b>Alpaca</b> is asked")
    expect(card.get_by_label("Comment")).to_have_value("")
    expect(page.locator("#fields-all")).to_have_attribute("aria-current", "true")
    page.locator("#whose-mine").click()
    expect(page.locator("article.cause")).to_have_count(1)
    assert "fields=all" in page.url
    assert person.grave_findings() == []


def test_enter_in_a_comment_approves_nothing(reader, causes):
    page = reader().log_in("ops").open(BOARD)
    card = page.locator("article.cause", has_text="QCOM")
    card.locator("summary", has_text="Assign, comment").click()
    card.get_by_label("Comment").press("Enter")
    card.get_by_label("Assigned to").press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not Fix.objects.exclude(state="proposed").exists()


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_a_refusal_is_where_the_reader_is_with_both_pictures(reader, causes, look):
    person = reader(look=look)
    page = person.log_in("ops").open(BOARD)
    old = causes[1]
    Fix.objects.filter(pk=old.pk).update(state="stale", outcome="Alpaca moved.")
    after = {"order": {"status": "filled"}, "position": {"state": "open", "qty": "12"}}
    new = make_fix(old.run, "QCOM", fingerprint="as-it-is-now", after=after, broker=after)
    page.locator(f"#backfill-{old.pk}").click()
    page.get_by_role("dialog").get_by_role("button", name="Backfill").click()
    refusal = page.locator(".refusal")
    expect(refusal).to_be_in_viewport()
    expect(refusal).to_be_focused()
    expect(refusal).to_contain_text(f"As it was shown, fix {old.pk}")
    expect(refusal).to_contain_text("As it is now")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert person.grave_findings() == []
    refusal.get_by_role("button", name="Approve it as shown now").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(page.locator("#messages")).to_contain_text("Approved:")
    expect(refusal).to_have_count(0)
    assert Fix.objects.get(pk=new.pk).state == "approved"


def test_what_the_keys_reach_is_not_under_the_line_that_stays(reader, people):
    run = make_run(make_account())
    for index in range(12):
        make_cause(run, f"S{index}")
    page = reader().log_in("ops").open(BOARD)
    for key in "jjjjjjjjjkkkkkkkk":
        page.keyboard.press(key)
        covered = page.evaluate(
            """() => {
                const line = document.querySelector(".remaining").getBoundingClientRect();
                return document.activeElement.getBoundingClientRect().top < line.bottom && line.top <= 0;
            }"""
        )
        assert not covered
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_contain_text("Backfill: Record our order buy 10 S0?")
    page.keyboard.press("Escape")
    page.locator("#approve-all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[value=yes]")).to_be_disabled()
    dialog.get_by_label("Type 12 to go on").fill("12")
    dialog.locator("[value=yes]").click()
    expect(page.locator("#messages")).to_contain_text("12 fixes approved.")


def test_all_of_it_without_javascript(reader, causes):
    page = reader(java_script_enabled=False).log_in("ops").open(f"{BOARD}?whose=nobody")
    card = page.locator("article.cause", has_text="QCOM")
    card.locator("summary", has_text="Assign, comment").click()
    card.get_by_label("Comment").fill("Looking")
    card.get_by_role("button", name="Add comment").click()
    assert page.url.endswith("?whose=nobody")
    expect(card.locator("summary", has_text="1 comment")).to_be_visible()
    card.locator("summary", has_text="1 comment").click()
    card.get_by_label("Assigned to").select_option("admin")
    card.get_by_role("button", name="Assign", exact=False).last.click()
    expect(page.locator("article.cause", has_text="QCOM")).to_have_count(0)
    page.goto(page.url.split("?")[0])
    expect(page.locator("article.cause", has_text="QCOM")).to_contain_text("Assigned to admin")
    old = causes[0]
    Fix.objects.filter(pk=old.pk).update(state="stale", outcome="Alpaca moved.")
    make_fix(old.run, "NVDA", fingerprint="as-it-is-now")
    page.locator(f"#backfill-{old.pk}").click()
    page.get_by_role("button", name="Approve 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was approved: the picture changed")
    page.get_by_role("button", name="Approve it as shown now").click()
    page.get_by_role("button", name="Approve 1").click()
    expect(page.locator("main")).to_contain_text("Approved:")
