"""When nothing new comes: the page says how old it is and why, loses nothing, and goes on."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from broker.models import Account
from positions.models import Position
from reconciliation.refreshing import refresh_account
from tests.simulation import running_simulator
from tests.tradingsite.browsing import CHROMIUM
from work.heartbeat import beat

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]
NETWORK = re.compile("Failed to load resource|net::ERR|Response Status Error Code|^htmx:")


def forgive(person):
    """The browser itself complains about an answer that does not come; that is what these tests bring about."""
    person.complaints[:] = [text for text in person.complaints if not NETWORK.search(text)]


def before(page, region):
    return page.locator(region).evaluate("e => getComputedStyle(e, '::before').content")


def test_a_region_says_its_age_and_turns_amber_with_words_and_the_reason(reader, record):
    person = reader()
    page = person.log_in("trader").open("/positions/")
    page.clock.install(time=timezone.now())
    page.reload()
    age = "e => getComputedStyle(e, '::after').content"
    page.clock.run_for(3000)
    assert page.locator("#positions").evaluate(age).startswith('"Refreshed ')
    assert before(page, "#positions") == "none"
    page.route("**/positions/", lambda route: route.fulfill(status=503, body="down"))
    page.clock.run_for(30000)
    expect(page.locator("#stale-note")).to_contain_text("the server answered with status 503. Figures are")
    assert before(page, "#positions").startswith('"Old figures: not refreshed for ')
    # It is heard once, without the seconds that count up.
    expect(page.locator("#said")).to_have_text(re.compile("status 503.$"))
    expect(page.locator("#positions tbody tr")).to_have_count(2)
    page.unroute("**/positions/")
    with page.expect_response("**/positions/"):
        page.clock.run_for(6000)
    expect(page.locator("#positions")).not_to_have_class(re.compile("is-stale"))
    page.clock.run_for(1000)
    expect(page.locator("#stale-note")).to_be_hidden()
    expect(page.locator("#said")).to_have_text("Figures are fresh again.")
    forgive(person)


def test_an_age_is_a_time_on_paper_and_the_controls_are_gone(reader, record):
    page = reader(look="dark").log_in("trader").open("/positions/")
    expect(page.locator("#strip time[data-age]").first).to_contain_text("ago")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("#strip time[data-age]").first).to_contain_text(" ET")
    expect(page.locator("nav.nav")).to_be_hidden()
    expect(page.locator(".filters")).to_be_hidden()
    expect(page.locator(".print-only")).to_contain_text("/positions/, loaded")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(22, 32, 44)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#strip time[data-age]").first).to_contain_text("ago")


def test_what_could_not_be_loaded_says_so_keeps_the_rest_and_tries_again(reader, record):
    person = reader()
    page = person.log_in("trader").open("/orders/")
    page.route("**/orders/?*q=qcom*", lambda route: route.abort())
    page.locator("#filter-q").fill("qcom")
    note = page.locator("#orders > [data-could-not-load]")
    expect(note).to_contain_text("Could not load. The server does not answer.")
    expect(page.locator("#orders tbody tr")).to_have_count(3)
    assert person.grave_findings() == []
    page.unroute("**/orders/?*q=qcom*")
    note.get_by_role("button", name="Retry").click()
    expect(page.locator("#orders tbody tr")).to_have_count(1)
    expect(note).to_have_count(0)
    expect(page).to_have_url(re.compile("q=qcom"))
    forgive(person)


def test_pausing_is_said_and_lasts_over_pages(reader, record):
    page = reader().log_in("trader").open("/positions/")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#said")).to_have_text("Refreshing is paused, on every page of this tab.")
    page.goto(page.url.replace("positions", "orders"))
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "true")


def test_what_is_said_again_is_not_put_in_again(reader, record):
    """A screen reader would read the notice at every refresh."""
    Account.objects.filter(slug="sim").update(sending_halted=True, halted_by="ops", halted_reason="Strange fills")
    page = reader().log_in("trader").open("/orders/")
    page.evaluate("window.kept = ['halted', 'drift-badge'].map((id) => document.getElementById(id).firstElementChild)")
    with page.expect_response("**/strip/") as answer:
        pass
    assert "hx-swap-oob" in answer.value.text()
    Account.objects.filter(slug="sim").update(name="Renamed")  # the strip is new, and what is sent along is not
    expect(page.locator("#halted")).to_contain_text("Renamed", timeout=15000)
    assert page.evaluate("window.kept.map((element) => element.isConnected)") == [False, True]


def test_the_pages_work_while_the_broker_is_down_and_say_since_when(reader, record, settings, tmp_path):
    beat("ticker", now=timezone.now())
    account = Account.objects.get(slug="sim")
    settings.ALPACA_ENV, settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = "sim", "down", "sim"
    with running_simulator(tmp_path) as simulator:
        settings.ALPACA_BASE_URL = simulator.url
        assert refresh_account(account=account, now=timezone.now()) == "refreshed"
        page = reader().log_in("ops").open("/positions/")
        expect(page.locator("#troubles")).to_be_hidden()
    # Its process has ended.
    refresh_account(account=account, now=timezone.now())
    note = page.locator("[data-trouble=unread]")
    expect(note).to_contain_text(re.compile("Alpaca does not answer since .* Figures are as of"), timeout=20000)
    expect(note).to_contain_text("manage.py alpacasim")
    for path in ("/", "/orders/", "/reconciliation/", "/batches/", "/audit/", "/system/"):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
        expect(page.locator("h1")).to_be_visible()
        expect(note).to_be_visible()
    assert Position.objects.count() == 2
    page.locator("#kill-switch > summary").click()
    page.get_by_label("Why", exact=True).fill("Alpaca is down")
    page.get_by_role("button", name="Stop sending").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop sending").click()
    expect(page.locator("#halted")).to_contain_text("Alpaca is down")
    (tmp_path / "again").mkdir()
    with running_simulator(tmp_path / "again") as simulator:
        settings.ALPACA_BASE_URL = simulator.url
        assert refresh_account(account=account, now=timezone.now()) == "refreshed"
        expect(note).to_have_count(0, timeout=15000)
