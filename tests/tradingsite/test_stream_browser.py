"""A fill at the broker is seen in the browser within a second."""

import os
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from broker.models import Account
from tests.factories import make_fill, make_order
from tests.orders.streams import fill, following, place
from tests.simulation import SimAccount
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]

FILLS = 24
#: A computer that is busy with something else for a moment gets another chance.
MOST_SERIES = 3
ROW_IS_FILLED = """(id) => [...document.querySelectorAll("#orders tbody tr")].some((row) =>
  row.querySelector(`a[href*="/orders/${id}/"]`) && row.textContent.includes("filled"))"""


def see_fill(page: Page, sim: SimAccount, order: Any) -> float:
    """Fill it at the broker; return the seconds until the open page says so."""
    page.wait_for_timeout(order.pk * 137 % 400)  # at any moment between two beats
    began = time.perf_counter()
    fill(sim, order)
    page.wait_for_function(ROW_IS_FILLED, arg=order.pk, timeout=15000)
    return time.perf_counter() - began


def test_a_fill_is_seen_within_a_second(reader: Any, people: Any, sim: SimAccount, sim_account: Account):
    series: list[list[float]] = []
    with following(sim_account):
        page = reader().log_in("trader").open("/orders/")
        while len(series) < MOST_SERIES and not (series and p95_of(series[-1]) <= allowed()):
            orders = [place(sim, sim_account) for _ in range(FILLS)]
            last = page.locator(f'#orders tbody a[href*="/orders/{orders[-1].pk}/"]')
            expect(last.first).to_be_visible(timeout=15000)
            series.append(sorted(see_fill(page, sim, order) for order in orders))
    took = series[-1]
    print(f"fill to browser: median {took[FILLS // 2]:.3f} s, p95 {p95_of(took):.3f} s, longest {took[-1]:.3f} s")  # noqa: T201
    assert p95_of(took) <= allowed(), series


def allowed() -> float:
    """Return a second; in proportion more where so many processes wait for each core that nothing is quick."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / 2)


def p95_of(took: list[float]) -> float:
    return took[int(0.95 * FILLS)]


def test_a_page_whose_books_rest_asks_for_its_regions_by_the_clock_only(reader: Any, people: Any, sim_account: Account):
    order = make_order(sim_account, status="filled", filled_qty="10")
    page = reader().log_in("trader").open("/orders/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1500)
    assert any(url.endswith("/pulse/") for url in asked)
    assert not any(url.endswith("/orders/") for url in asked)
    with page.expect_request("**/orders/", timeout=3000):
        order.events.create(at=order.recorded_at, kind="fill", text="10 at 100", actor="test")
        make_fill(order)
