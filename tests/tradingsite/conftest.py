"""A browser, a person at it, and a record with something in every corner."""

import os

import pytest
from django.utils import timezone
from playwright.sync_api import sync_playwright

from orders.models import OrderEvent
from positions.models import Position
from positions.rebuilding import rebuild_position
from tests.factories import make_account, make_adjustment, make_batch, make_fill, make_order
from tests.tradingsite.browsing import CHROMIUM, Reader
from tests.tradingsite.test_pages import make_drift, make_snapshot


@pytest.fixture(scope="module")
def browser():
    # Playwright's loop runs in this thread, and Django refuses the ORM beside a running loop unless told so.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    else:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def record(people):
    """An account with something in every corner: a drift, an estimate, an unconfirmed order, a batch under way."""
    account = make_account(notice="Some prices are stand-ins.")
    now = timezone.now()
    make_snapshot(account)
    make_drift(account, "FTNT", dollars="4959")
    batch = make_batch(account, created_at=now, state="released", released_at=now)
    make_order(account, symbol="AAPL", batch=batch, submission_state="unconfirmed", unconfirmed_at=now)
    make_order(account, symbol="TSLA", status="weird_new", batch=batch, submission_state="denied", refusal="Halted.")
    make_adjustment(account, symbol="FTNT", qty="58", price="86", is_estimated=True)
    order = make_order(account, symbol="QCOM", qty="74", status="filled", filled_qty="74", raw={"id": "abc"})
    make_fill(order, qty="74", price="172.305")
    OrderEvent.objects.create(order=order, at=now, kind="fill", text="Filled 74.", actor="system:follow")
    for symbol in ("FTNT", "QCOM"):
        rebuild_position(account=account, symbol=symbol, now=now)
    Position.objects.filter(symbol="QCOM").update(last_price="170.00", last_price_at=now)
    return account


@pytest.fixture
def reader(browser, live_server):
    readers = []

    def make(**options):
        readers.append(Reader(browser, live_server.url, **options))
        return readers[-1]

    yield make
    for one in readers:
        one.context.close()
    assert [complaint for one in readers for complaint in one.complaints] == []
