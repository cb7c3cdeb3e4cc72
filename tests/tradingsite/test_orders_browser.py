"""Orders and batches in a real browser: upload, live progress, sending again, and the same without JavaScript."""

import re
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from broker.models import Account
from orders.models import Batch, Order
from tests.factories import make_batch, make_fill, make_order
from tests.tradingsite.browsing import CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no system Chromium"),
]

GOOD = "symbol,side,qty,order_type,limit_price\nAAPL,buy,2,limit,10\nKO,buy,3,limit,5\n"
BAD = "symbol,side,qty\nAAPL,buy,two\n"


def upload(page: Page, text: str) -> None:
    page.get_by_label("CSV or JSON file").set_input_files(
        {"name": "orders.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    page.get_by_role("button", name="Check the file").click()


def not_placed(account: Account) -> Order:
    batch = make_batch(account, state="finished", finished_at=timezone.now())
    return make_order(account, symbol="KO", batch=batch, submission_state="not_placed", send_count=1, refusal="Absent.")


@pytest.mark.parametrize("has_script", [True, False])
def test_a_bad_file_is_corrected_and_a_good_one_recorded(reader: Any, people: Any, sim_account: Account, has_script):
    person = reader(java_script_enabled=has_script).log_in("ops")
    page = person.open("/batches/new/")
    upload(page, BAD)
    expect(page.get_by_role("cell", name="expected a number such as 12.5, found 'two'")).to_be_visible()
    upload(page, GOOD)
    expect(page.get_by_role("region", name="Lines of the file").get_by_text("good")).to_have_count(2)
    assert not Batch.objects.exists()
    page.get_by_role("button", name="Record 2 orders").click()
    if has_script:
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Record orders.csv with 2 orders")
        expect(dialog).to_contain_text("2 buys and 0 sells are recorded and sent")
        dialog.get_by_role("button", name="Record").click()
    expect(page.get_by_role("heading", level=1, name=re.compile("^Batch .*orders.csv"))).to_be_visible()
    assert Batch.objects.get().state == "released"


def test_a_batch_moves_before_the_eyes_and_its_result_stays(reader: Any, people: Any, sim_account: Account):
    batch = make_batch(sim_account, state="released", released_at=timezone.now())
    orders = [make_order(sim_account, batch=batch, submission_state="recorded") for _ in range(3)]
    page = reader().log_in("trader").open(batch.get_absolute_url())
    expect(page.get_by_label(re.compile("whose sending is settled: 0 of 3"))).to_be_visible()
    Order.objects.filter(pk=orders[0].pk).update(submission_state="rejected", refusal="insufficient buying power")
    expect(page.get_by_label(re.compile("whose sending is settled: 1 of 3"))).to_be_visible(timeout=10000)
    batch.orders.exclude(pk=orders[0].pk).update(submission_state="denied", refusal="Halted.")
    Batch.objects.update(state="finished", finished_at=timezone.now())
    expect(page.get_by_text("Result: 0 of 3 filled, 3 came to nothing.")).to_be_visible(timeout=10000)
    expect(page.get_by_label(re.compile("whose sending is settled"))).to_have_count(0)
    page.get_by_role("link", name="copy into a new batch").click()
    expect(page.get_by_role("heading", name="3 lines certainly not at Alpaca")).to_be_visible()


def test_an_order_goes_again_only_after_its_consequence_was_confirmed(reader: Any, people: Any, sim_account: Account):
    order = not_placed(sim_account)
    page = reader().log_in("ops").open(order.get_absolute_url())
    page.get_by_role("link", name="Send again…").click()
    expect(page.get_by_text(order.client_order_id)).to_be_visible()
    page.get_by_role("button", name="Check with Alpaca").click()
    page.get_by_role("button", name="Send again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Send order {order.pk} again: buy 10 KO")
    expect(dialog).to_contain_text("under the same id")
    page.keyboard.press("Escape")
    order.refresh_from_db()
    assert order.submission_state == "not_placed"
    page.get_by_role("button", name="Send again").click()
    dialog.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("leaves again, under the same id")).to_be_visible()
    order.refresh_from_db()
    assert order.submission_state == "recorded"


def test_an_order_goes_again_without_javascript(reader: Any, people: Any, sim_account: Account):
    order = not_placed(sim_account)
    since = make_order(sim_account, symbol="KO", recorded_at=timezone.now())
    page = reader(java_script_enabled=False).log_in("ops").open(f"{order.get_absolute_url()}again/")
    page.get_by_role("button", name="Check with Alpaca").click()
    expect(page.get_by_text(f"order {since.pk}. Do you want it twice?")).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("leaves again, under the same id")).to_be_visible()
    order.refresh_from_db()
    assert order.submission_state == "recorded"


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_the_pages_are_accessible_and_fit(reader: Any, people: Any, sim_account: Account, look: str):
    absent = not_placed(sim_account)
    entry = make_order(
        sim_account,
        order_class="bracket",
        status="filled",
        broker_order_id="entry",
        filled_qty="10",
        filled_avg_price="5",
        replaces="older",
        raw={"legs": [{"id": "leg-1", "type": "limit", "status": "held"}], "group_id": "g"},
    )
    make_fill(entry, qty="10", price="5")
    halted = make_batch(sim_account, state="halted", finished_at=timezone.now())
    make_order(sim_account, batch=halted, submission_state="denied", refusal="Halted: wrong day")
    person = reader(look=look).log_in("ops")
    paths = [
        entry.get_absolute_url(),
        absent.get_absolute_url(),
        f"{absent.get_absolute_url()}again/",
        halted.get_absolute_url(),
        f"{halted.get_absolute_url()}unsent/",
        "/batches/new/",
        "/orders/",
    ]
    for path in paths:
        page = person.open(path)
        page.evaluate("document.querySelectorAll('details.panel').forEach((details) => (details.open = true))")
        assert person.grave_findings() == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    upload(person.open("/batches/new/"), GOOD)
    expect(person.page.get_by_role("button", name="Record 2 orders")).to_be_visible()
    assert person.grave_findings() == []
