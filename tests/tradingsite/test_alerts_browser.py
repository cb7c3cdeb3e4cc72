"""The alerts, the messages and a daily report in a real browser: accessible, fitting, refreshing, and testable."""

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import expect

from alerts.addresses import parse
from alerts.channels import ensure_channels
from alerts.conditions import conditions_of
from alerts.daily_report import make_report
from alerts.looking import look
from alerts.models import Alert, Channel, DailyReport
from alerts.noting import note
from broker.times import NEW_YORK
from tests.alerts.receivers import webhook
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]


@pytest.fixture
def paths(record, settings):
    """A record with alerts, messages and the report of its day."""
    now = timezone.now()
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/very-secret-path post=json://127.0.0.1:1/")
    ensure_channels(now)
    seen = now + timedelta(minutes=2)
    note(conditions_of(look(seen), now=seen, approval_after=timedelta(minutes=15)), now=now)
    assert Alert.objects.count() == 2
    report = make_report(account=record, day=now.astimezone(NEW_YORK).date(), now=now)
    assert report is not None
    return ["/alerts/", "/alerts/?status=open", "/alerts/deliveries/", "/reports/", report.get_absolute_url()]


@pytest.mark.parametrize("look_of_it", ["light", "dark", "phone"])
def test_the_pages_are_accessible_and_fit(reader, paths, look_of_it):
    person = reader(look=look_of_it).log_in("trader")
    for path in paths:
        page = person.open(path)
        assert person.grave_findings() == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
        assert "very-secret-path" not in page.content()


def test_the_count_and_the_list_follow_by_themselves(reader, paths):
    page = reader().log_in("trader").open("/alerts/?status=open")
    expect(page.locator("#alert-badge")).to_contain_text("2")
    Alert.objects.filter(kind="drift").update(state="closed", closed_at=timezone.now())
    expect(page.locator("#alerts tbody tr")).to_have_count(1, timeout=15000)
    page.locator("#alerts tbody a").first.click()
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible()


def test_an_admin_tests_a_channel_and_hears_of_its_outcome(reader, paths, settings):
    with webhook() as hook:
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()}")
        desk = Channel.objects.get(name="desk")
        person = reader().log_in("admin")
        page = person.open(f"/admin/alerts/channel/{desk.pk}/change/")
        # Not preloading: axe would copy the admin's imported style sheets, which the security policy forbids.
        found = Axe().run(page, options={"preload": False}).response["violations"]
        assert [finding["id"] for finding in found if finding["impact"] in {"serious", "critical"}] == []
        page.get_by_role("button", name="Send a test").click()
        expect(page.get_by_text("The test went out by desk.")).to_be_visible()
        assert hook.got[0]["title"] == "Test of the channel desk"


def test_a_report_is_a_file_too(reader, paths):
    page = reader().log_in("trader").open(paths[-1])
    with page.expect_download() as download:
        page.get_by_role("link", name="Markdown").click()
    assert download.value.path().read_text() == DailyReport.objects.get().markdown
