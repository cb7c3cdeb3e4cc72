"""The pages by keyboard, and questions that want a number typed, in a real browser."""

import re
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from reconciliation.models import Fix
from tests.factories import make_account
from tests.reconciliation import rows
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def test_rows_filter_and_pages_are_one_key_away(reader, record):
    page = reader().log_in("trader").open("/positions/")
    links = page.locator("#positions tbody th a")
    press(page, "j")
    expect(links.nth(0)).to_be_focused()
    press(page, "j")
    expect(links.nth(1)).to_be_focused()
    press(page, "j")
    expect(links.nth(1)).to_be_focused()
    expect(page.locator("#said")).to_have_text("This is the last row.")
    press(page, "k")
    expect(links.nth(0)).to_be_focused()
    press(page, "Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("FTNT")
    press(page, "g", "r")
    page.wait_for_url("**/orders/")
    press(page, "/")
    expect(page.locator("#filter-q")).to_be_focused()
    page.keyboard.type("gj?")
    expect(page.locator("#filter-q")).to_have_value("gj?")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_help_lists_the_keys_and_nothing_acts_behind_it(reader, record):
    person = reader()
    page = person.log_in("trader").open("/orders/")
    press(page, "?")
    help_dialog = page.get_by_role("dialog", name="Keyboard")
    expect(help_dialog).to_contain_text("To the filter of the list")
    expect(help_dialog.get_by_role("link", name="Admin")).to_have_count(0)
    assert person.grave_findings() == []
    press(page, "g", "p")
    expect(help_dialog).to_be_visible()
    press(page, "Escape")
    expect(help_dialog).to_be_hidden()
    expect(page).to_have_url(re.compile("/orders/$"))
    page.get_by_role("link", name="Keys").click()
    expect(help_dialog).to_be_visible()


def test_keys_can_be_switched_off_and_stay_off(reader, record):
    page = reader().log_in("trader").open("/positions/")
    press(page, "Control+j", "Alt+j")
    expect(page.locator("#positions tbody a:focus")).to_have_count(0)
    press(page, "?")
    page.get_by_label("Single keys are shortcuts").uncheck()
    expect(page.locator("#said")).to_have_text("Single keys do nothing now.")
    press(page, "Escape")
    page.reload()
    press(page, "j", "?", "g", "r")
    expect(page.locator("#positions tbody a:focus")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("link", name="Keys").click()
    expect(page.get_by_label("Single keys are shortcuts")).not_to_be_checked()


def test_without_javascript_the_keys_are_a_page(reader, record):
    page = reader(java_script_enabled=False).log_in("trader").open("/orders/")
    page.get_by_role("link", name="Keys").click()
    expect(page.get_by_role("heading", level=1, name="Keyboard")).to_be_visible()
    expect(page.locator("main")).to_contain_text("To the next, to the previous row or cause")
    expect(page.get_by_label("Single keys are shortcuts")).to_be_hidden()


@pytest.fixture
def two_causes(people):
    run = rows.make_run(make_account("sim"))
    for symbol in ("AAPL", "QCOM"):
        rows.make_drift(run, symbol, fix=rows.make_fix(run, symbol))


def test_the_focused_cause_is_approved_after_a_question(reader, two_causes):
    page = reader().log_in("ops").open("/reconciliation/")
    press(page, "a")
    expect(page.locator("#said")).to_have_text("Go to a cause first: j and k.")
    press(page, "j", "j", "x")
    expect(page.get_by_label("Select Record our order buy 10 QCOM")).to_be_checked()
    press(page, "a")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Record our order buy 10 QCOM?")
    press(page, "a", "j")
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    assert set(Fix.objects.values_list("state", flat=True)) == {"proposed"}
    press(page, "a")
    dialog.get_by_role("button", name="Backfill").click()
    expect(page.locator("tr[data-state=approved]")).to_have_count(1)
    assert Fix.objects.get(symbol="QCOM").state == "approved"
    assert Fix.objects.get(symbol="AAPL").state == "proposed"


def test_a_trader_approves_nothing_by_key(reader, two_causes):
    page = reader().log_in("trader").open("/reconciliation/")
    press(page, "j", "a")
    expect(page.locator("#said")).to_have_text("There is nothing to approve here.")
    expect(page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.parametrize("way", ["htmx", "form"])
def test_a_question_about_many_wants_their_number(reader, record, way):
    page = reader().log_in("ops").open("/reconciliation/" if way == "htmx" else "/positions/")
    if way == "htmx":
        button = page.locator("#reconcile-now")
        button.evaluate("e => { e.setAttribute('hx-confirm', 'All twelve?'); e.dataset.confirmType = '12'; }")
    else:
        page.locator("#kill-switch > summary").click()
        page.locator("#kill-switch form").evaluate("e => { e.dataset.confirmType = '12'; }")
        page.get_by_label("Why").fill("Many")
        button = page.get_by_role("button", name="Stop sending")
    button.click()
    dialog = page.get_by_role("dialog")
    number = dialog.get_by_label("Type 12 to go on")
    expect(number).to_be_focused()
    yes = dialog.locator("[value=yes]")
    expect(yes).to_be_disabled()
    number.fill("1")
    number.press("Enter")
    expect(dialog).to_be_visible()
    number.fill("12")
    with page.expect_request(lambda request: request.method == "POST") as asked:
        yes.click()
    assert parse_qs(asked.value.post_data)["typed_count"] == ["12"]
    # The next question is about something else, and about few.
    page.wait_for_load_state()
    page.locator("#kill-switch > summary").click()
    page.get_by_label("Why").fill("One")
    page.locator("#kill-switch button").click()
    expect(dialog.locator("[data-confirm-count]")).to_be_hidden()
    expect(yes).to_be_enabled()
