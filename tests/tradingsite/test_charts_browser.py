"""A chart in a browser: its values by pointer and by keys, and nothing that the policy or axe complains of."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from positions.models import Position, PriceBar
from tests.factories import NOW
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]


@pytest.fixture
def position(record):
    """A position with 60 daily candles that close at 101, 102, … 160."""
    begin = NOW - timedelta(days=59)
    PriceBar.objects.bulk_create(
        PriceBar(
            account=record, symbol="QCOM", timeframe="1Day", starts_at=begin + timedelta(days=number),
            open=Decimal(100), high=Decimal(190), low=Decimal(90), close=Decimal(101 + number), volume=Decimal(5),
        )
        for number in range(60)
    )  # fmt: skip
    return Position.objects.get(symbol="QCOM")


def test_values_are_read_by_pointer_and_by_arrow_keys(reader, position):
    page = reader().log_in("trader").open(position.get_absolute_url())
    chart = page.locator("#position-chart figure")
    frame, readout = chart.locator(".chart-frame"), chart.locator(".chart-readout")
    expect(readout).to_contain_text("Close 160.00")
    area = chart.locator(".chart-area").bounding_box()
    page.mouse.move(area["x"] + area["width"] * 9.5 / 60, area["y"] + 40)
    expect(readout).to_contain_text("Close 110.00")
    expect(chart.locator(".chart-cross line")).to_have_count(1)
    page.mouse.move(5, 5)
    expect(readout).to_contain_text("Close 160.00")
    expect(chart.locator(".chart-cross line")).to_have_count(0)
    frame.focus()
    for keys, close in (
        ("ArrowLeft", 159), ("PageUp", 149), ("ArrowRight", 150), ("Home", 101), ("ArrowLeft", 101),
        ("PageDown", 111), ("End", 160), ("ArrowRight", 160),
    ):  # fmt: skip
        page.keyboard.press(keys)
        expect(readout).to_contain_text(f"Close {close}.00")
    expect(readout).to_contain_text("Bought 74 at 172.305")


def test_the_place_of_the_keyboard_survives_a_refresh(reader, position):
    page = reader().log_in("trader").open(position.get_absolute_url())
    chart = page.locator("#position-chart figure")
    chart.locator(".chart-frame").focus()
    page.keyboard.press("Home")
    PriceBar.objects.filter(close="101").update(close="102.5")
    page.evaluate(
        "htmx.ajax('GET', document.querySelector('#position-chart').getAttribute('hx-get'), '#position-chart')"
    )
    expect(chart.locator(".chart-readout")).to_contain_text("Close 102.50")
    expect(chart.locator(".chart-frame")).to_be_focused()


@pytest.mark.parametrize("look", ["light", "dark", "phone", "wide"])
def test_the_chart_fits_its_page_and_its_text_keeps_its_size(reader, position, look):
    person = reader(look=look)
    page = person.log_in("trader").open(position.get_absolute_url())
    chart = page.locator("#position-chart figure")
    chart.locator("summary").click()
    assert person.grave_findings() == []
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    sizes = chart.locator(".chart-canvas text").evaluate_all("all => all.map(text => getComputedStyle(text).fontSize)")
    assert set(sizes) == {"12.5px"}
    labels = chart.locator(".chart-axes [class^=chart-tick] text").all()
    shown = [box for label in labels if (box := label.bounding_box())]
    assert len(shown) >= 2
    assert all(box["x"] + box["width"] < following["x"] for box, following in pairwise(shown))
    link = chart.get_by_role("link", name="Bought 74 at 172.305").first
    link.click()
    page.wait_for_url("**/orders/**")
