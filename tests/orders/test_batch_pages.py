"""The batch pages: a bad file names line and field and records nothing; a good one is shown before it is recorded."""

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from audit.models import AuditEntry
from broker.models import Account, AccountSnapshot
from broker.times import NEW_YORK
from orders.batch_pages import default_schedule
from orders.batch_progress import progress_of
from orders.forms import BatchUpload, ReleaseForm
from orders.halting import halt_batch
from orders.models import Batch, Order
from tests.factories import make_account, make_batch, make_order
from tests.orders.conftest import record
from tests.simulation import SimAccount

LIST, UPLOAD, CONFIRM = "/batches/", "/batches/new/", "/batches/confirm/"
GOOD = b"symbol,side,qty,order_type,limit_price\nAAPL,buy,10,limit,150.25\nMSFT,buy,2,market,\n"
BAD = b"symbol,side,qty\nAAPL,buy,10\nMSFT,bye,ten\n"
HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


@pytest.fixture
def trader(people: SimpleNamespace) -> Client:
    client = Client()
    client.force_login(people.trader)
    return client


def upload(client: Client, data: bytes, name: str = "orders.csv"):
    return client.post(UPLOAD, {"file": SimpleUploadedFile(name, data)})


def signed_in(text: str) -> str:
    found = re.search(r'name="file" value="([^"]+)"', text)
    assert found, "the preview carries no file"
    return found.group(1)


def csv_rows(client: Client, path: str) -> list[str]:
    response: Any = client.get(path)
    return response.getvalue().decode().splitlines()


def page(client: Client, path: str, **options) -> str:
    response = client.get(path, **options)
    assert response.status_code == 200
    return response.content.decode()


# --- Who may do what ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [LIST, UPLOAD, "/batches/1/"])
def test_the_logged_out_are_sent_to_log_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/accounts/login/")


def test_a_trader_sees_batches_and_may_not_touch_them(trader: Client) -> None:
    batch = make_batch(scheduled_for=timezone.now())
    assert "Upload a batch" not in page(trader, LIST)
    text = page(trader, f"/batches/{batch.pk}/")
    assert "Release now" not in text
    assert "Halt</" not in text
    assert trader.get(UPLOAD).status_code == 403
    for path in (UPLOAD, CONFIRM, f"/batches/{batch.pk}/release/", f"/batches/{batch.pk}/halt/"):
        assert trader.post(path, {"reason": "because"}).status_code == 403
    batch.refresh_from_db()
    assert batch.state == "scheduled"


# --- Upload and preview ---------------------------------------------------------------------------------------


def test_a_bad_file_names_line_and_field_and_records_nothing(ops: Client, sim_account: Account) -> None:
    text = upload(ops, BAD).content.decode()
    rows = re.findall(r'<td class="number">(\d+|file)</td><td>([^<]*)</td><td>([^<]*)</td>', text)
    assert [(line, field) for line, field, _message in rows] == [("3", "side"), ("3", "qty")]
    assert "expected a number such as 12.5" in text
    assert 'name="file" value=' not in text, "there is nothing to confirm"
    assert not Batch.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe", b"[", b"not a header\n"])
def test_a_file_that_is_no_batch_is_explained(ops: Client, sim_account: Account, data: bytes) -> None:
    text = upload(ops, data).content.decode()
    assert "nothing of this file is recorded" in text
    assert "expected" in text


def test_no_file_at_all_is_said(ops: Client, sim_account: Account) -> None:
    assert b"field-error" in ops.post(UPLOAD, {}).content


def test_a_file_that_is_too_large_is_refused(ops: Client, sim_account: Account, settings: LazySettings) -> None:
    settings.BATCH_FILE_MAX_BYTES = 50
    assert b"Expected a file of at most 50 bytes." in upload(ops, GOOD).content


def test_a_good_file_is_shown_and_not_recorded(ops: Client, sim: SimAccount, sim_account: Account) -> None:
    sim.price("MSFT", "400.25")
    text = upload(ops, GOOD).content.decode()
    assert "$2,303.00" in text, "the market order counts with its latest trade"
    assert "No price is known" not in text
    assert "AAPL" in text
    assert 'value="now" checked' in text
    assert re.search(r'name="scheduled_for" value="\d{4}-\d\d-\d\dT08:00"', text)
    assert not Batch.objects.exists()


def test_a_good_file_without_market_data_is_shown_with_a_warning(
    ops: Client, sim: SimAccount, sim_account: Account
) -> None:
    sim.fault("status", "GET", "/v2/stocks/trades/latest", status=403, body={"message": "forbidden."})
    text = upload(ops, GOOD).content.decode()
    assert "$1,502.50" in text
    assert "No price is known for MSFT" in text
    assert "The latest trades could not be read" in text
    signed_in(text)


def test_an_unknown_symbol_is_found_at_alpaca(ops: Client, sim_account: Account) -> None:
    text = upload(ops, b"symbol,side,qty\nNOSUCH,buy,1\n").content.decode()
    assert "expected a symbol that Alpaca knows" in text
    assert not Batch.objects.exists()


def test_a_file_is_not_recorded_when_alpaca_cannot_be_asked(
    ops: Client, sim_account: Account, settings: LazySettings
) -> None:
    signed = signed_in(upload(ops, GOOD).content.decode())
    settings.ALPACA_BASE_URL = "http://127.0.0.1:9"
    settings.BROKER_CONNECT_TIMEOUT = 0.2
    for answer in (upload(ops, GOOD), ops.post(CONFIRM, {"file": signed, "when": "now"})):
        assert b"could not be checked, so nothing was recorded" in answer.content
    assert not Batch.objects.exists()


# --- Confirm --------------------------------------------------------------------------------------------------


def test_confirming_records_and_releases_and_queues(ops: Client, sim_account: Account) -> None:
    signed = signed_in(upload(ops, GOOD).content.decode())
    answer = ops.post(CONFIRM, {"file": signed, "when": "now"})
    batch = Batch.objects.get()
    assert answer["Location"] == batch.get_absolute_url()
    assert (batch.state, batch.created_by, batch.name) == ("released", "ops", "orders.csv")
    assert Order.objects.filter(batch=batch, submission_state="recorded").count() == 2
    assert OrmQ.objects.count() == 1
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "batch.recorded",
        "batch.released",
    ]


def test_many_orders_are_recorded_when_their_number_is_typed(ops: Client, sim_account: Account, settings: Any) -> None:
    settings.TYPE_COUNT_ABOVE = 1
    text = upload(ops, GOOD).content.decode()
    assert "Type 2 to record so many orders" in text
    form = {"file": signed_in(text), "when": "now"}
    for typed in ("", "3"):
        answer = ops.post(CONFIRM, {**form, "typed_count": typed}).content.decode()
        assert f"Nothing was recorded: expected 2, found {typed or 'nothing'}." in answer
    assert not Batch.objects.exists()
    ops.post(CONFIRM, {**form, "typed_count": "2"})
    assert Batch.objects.get().orders.count() == 2


def test_confirming_twice_records_once(ops: Client, sim_account: Account) -> None:
    signed = signed_in(upload(ops, GOOD).content.decode())
    ops.post(CONFIRM, {"file": signed, "when": "now"})
    answer = ops.post(CONFIRM, {"file": signed, "when": "now"})
    assert "those of batch" in answer.content.decode()
    assert Batch.objects.count() == 1


def test_a_batch_may_wait_for_its_time(ops: Client, sim_account: Account) -> None:
    signed = signed_in(upload(ops, GOOD).content.decode())
    day = (timezone.now() + timedelta(days=9)).date()
    ops.post(CONFIRM, {"file": signed, "when": "scheduled", "scheduled_for": f"{day}T08:00"})
    batch = Batch.objects.get()
    assert batch.state == "scheduled"
    assert batch.scheduled_for == datetime.combine(day, time(8), tzinfo=NEW_YORK)
    assert not OrmQ.objects.exists()
    ops.post(f"/batches/{batch.pk}/release/")
    batch.refresh_from_db()
    assert batch.state == "released"
    assert b"is released already" in ops.post(f"/batches/{batch.pk}/release/", follow=True).content


@pytest.mark.parametrize("at", ["", "tomorrow", "2020-01-01T08:00", "9999-12-31T23:59"])
def test_a_time_that_cannot_be_is_explained(ops: Client, sim_account: Account, at: str) -> None:
    signed = signed_in(upload(ops, GOOD).content.decode())
    answer = ops.post(CONFIRM, {"file": signed, "when": "scheduled", "scheduled_for": at})
    assert b"field-error" in answer.content
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2026-03-06T08:00", "2026-03-06T13:00+00:00"),  # the last winter days
        ("2026-03-09T08:00", "2026-03-09T12:00+00:00"),  # the first day of summer time
        ("2026-03-08T02:30", ""),  # skipped
        ("2026-11-01T01:30", ""),  # comes twice
    ],
)
def test_a_time_is_new_yorks_and_an_hour_of_the_clock_change_is_refused(wall: str, utc: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with timezone.override("Asia/Tokyo"):
        form = ReleaseForm({"when": "scheduled", "scheduled_for": wall}, now=now)
        assert form.is_valid() == bool(utc)
    if utc:
        assert form.moment == datetime.fromisoformat(utc)
    else:
        assert "Clocks in New York change in that hour" in form.errors["scheduled_for"][0]


def test_the_preview_judges_every_line(ops: Client, sim: SimAccount, sim_account: Account) -> None:
    sim.price("MSFT", "400.25")
    good = upload(ops, GOOD).content.decode()
    assert good.count("</svg>good</span>") == 2
    assert "10 × $150.25, its limit price" in good
    assert "2,303.00" in good
    sim_account.max_order_notional = Decimal(1000)
    sim_account.save()
    bad = upload(ops, GOOD).content.decode()
    assert bad.count("</svg>error</span>") == 1
    assert bad.count("</svg>good</span>") == 1


def test_a_duplicate_names_and_links_the_earlier_batch(ops: Client, sim_account: Account) -> None:
    ops.post(CONFIRM, {"file": signed_in(upload(ops, GOOD).content.decode()), "when": "now"})
    batch = Batch.objects.get()
    text = upload(ops, b"symbol,side,qty,order_type,limit_price\nMSFT,BUY,2,,\naapl,buy,10.0,limit,150.250\n", "x.csv")
    assert f'<a href="{batch.get_absolute_url()}">batch {batch.pk}</a>' in text.content.decode()


@pytest.mark.parametrize("signed", ["", "nonsense", "eyJhIjoxfQ:1:forged"])
def test_what_was_not_previewed_is_not_recorded(ops: Client, sim_account: Account, signed: str) -> None:
    answer = ops.post(CONFIRM, {"file": signed, "when": "now"}, follow=True)
    assert b"Nothing was recorded" in answer.content
    assert not Batch.objects.exists()


def test_a_preview_for_another_account_is_not_recorded_here(ops: Client, sim_account: Account) -> None:
    signed = BatchUpload("orders.csv", GOOD, "other").signed()
    assert b"Nothing was recorded" in ops.post(CONFIRM, {"file": signed, "when": "now"}, follow=True).content
    assert not Batch.objects.exists()


def test_the_usual_time_skips_weekends_and_holidays() -> None:
    account = make_account()
    friday = datetime(2025, 11, 7, 20, 0, tzinfo=UTC)
    assert default_schedule(account, friday) == datetime(2025, 11, 10, 13, 0, tzinfo=UTC)
    # The day before Thanksgiving, after the close: Alpaca's clock says that it opens on Friday.
    now = datetime(2025, 11, 26, 22, 0, tzinfo=UTC)
    money = dict.fromkeys(
        ("equity", "last_equity", "cash", "buying_power", "long_market_value", "short_market_value"), "0"
    )
    AccountSnapshot.objects.create(
        account=account,
        read_at=now,
        market_is_open=False,
        next_open=datetime(2025, 11, 28, 14, 30, tzinfo=UTC),
        **money,
    )
    assert default_schedule(account, now) == datetime(2025, 11, 28, 13, 0, tzinfo=UTC)


# --- One batch ------------------------------------------------------------------------------------------------


def test_progress_and_outcome_per_line(ops: Client) -> None:
    batch = make_batch(state="released", released_at=timezone.now(), warnings=["The market is closed."])
    make_order(batch=batch, line_number=2, status="filled", filled_qty="10")
    make_order(batch=batch, line_number=3, submission_state="recorded")
    make_order(batch=batch, line_number=4, submission_state="rejected", refusal="insufficient buying power")
    text = page(ops, f"/batches/{batch.pk}/", headers=HTMX)
    assert "2 of 3" in text
    assert '<progress id="batch-progress" max="3" value="2">' in text
    assert "insufficient buying power" in text
    assert "The market is closed." in text
    assert 'hx-trigger="every 1s"' in text
    assert "<html" not in text


def test_the_result_stays_in_counts(ops: Client) -> None:
    batch = make_batch(state="finished", released_at=timezone.now(), finished_at=timezone.now())
    make_order(batch=batch, status="filled", filled_qty="10", filled_avg_price="5.5")
    make_order(batch=batch, status="canceled")
    make_order(batch=batch, status="replaced")
    make_order(batch=batch, submission_state="rejected", refusal="insufficient buying power")
    text = page(ops, f"/batches/{batch.pk}/", headers=HTMX)
    assert (
        "1 of 4 filled, 1 went on under another id, 1 ended at Alpaca without filling whole, 1 came to nothing." in text
    )
    assert "10 filled at 5.5" in text
    assert "too little buying power" in text
    assert "<progress" not in text
    rows = csv_rows(ops, f"/batches/{batch.pk}/?format=csv")
    assert "10 filled at 5.5" in rows[1]


def test_progress_estimates_what_is_left() -> None:
    now = timezone.now()
    batch = make_batch(state="released", released_at=now - timedelta(seconds=10))
    for number in range(4):
        make_order(batch=batch, submission_state="recorded" if number else "confirmed")
    assert progress_of(batch, now).seconds_left == 30
    assert progress_of(batch).seconds_left is None
    batch.released_at = now
    assert progress_of(batch, now).seconds_left is None


def test_a_halt_says_who_and_why(ops: Client) -> None:
    batch = make_batch(state="released", released_at=timezone.now())
    make_order(batch=batch, submission_state="recorded")
    halt_batch(batch=batch, actor="anna", reason="<Wrong> day", now=timezone.now())
    text = page(ops, f"/batches/{batch.pk}/")
    assert "Halted by anna" in text
    assert "&lt;Wrong&gt; day" in text


def test_what_was_not_placed_is_a_file_again(ops: Client, trader: Client, sim_account: Account) -> None:
    batch = record(sim_account, "symbol,side,qty\nAAPL,buy,10\nMSFT,buy,2\nKO,buy,3\nF,buy,4\n")
    for symbol, state in {"AAPL": "denied", "MSFT": "rejected", "KO": "not_placed", "F": "unconfirmed"}.items():
        batch.orders.filter(symbol=symbol).update(submission_state=state, refusal="because")
    Batch.objects.update(state="finished")
    path = f"/batches/{batch.pk}/unsent/"
    assert path in page(trader, f"/batches/{batch.pk}/")
    assert "2 lines certainly not at Alpaca" in page(trader, path)
    lines = trader.get(f"/batches/{batch.pk}/unsent.csv").content.decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["symbol", "AAPL", "MSFT"]
    assert trader.post(path).status_code == 403
    text = ops.post(path).content.decode()
    assert "orders-unsent.csv" in text
    ops.post(CONFIRM, {"file": signed_in(text), "when": "now"})
    new = Batch.objects.exclude(pk=batch.pk).get()
    assert set(new.orders.values_list("symbol", flat=True)) == {"AAPL", "MSFT"}
    Batch.objects.filter(pk=batch.pk).update(state="halted")
    assert "3 lines certainly not at Alpaca" in page(trader, path)


def test_unsent_lines_that_were_ordered_since_are_named(ops: Client, sim_account: Account) -> None:
    batch = record(sim_account, "symbol,side,qty\nAAPL,buy,10\nMSFT,buy,2\n")
    batch.orders.update(submission_state="rejected", refusal="because")
    Batch.objects.update(state="finished")
    path = f"/batches/{batch.pk}/unsent/"
    assert "Do you want it twice?" not in ops.post(path).content.decode()
    since = make_order(sim_account, symbol="AAPL", recorded_at=timezone.now())
    text = ops.post(path).content.decode()
    assert f"AAPL was bought again since, or is to be: order {since.pk}. Do you want it twice?" in text
    assert text.count("Do you want it twice?") == 1


def test_a_batch_with_nothing_unsent_says_so(ops: Client) -> None:
    batch = make_batch(state="finished")
    make_order(batch=batch)
    assert "Nothing" in page(ops, f"/batches/{batch.pk}/unsent/")
    assert "expected at least one order" in ops.post(f"/batches/{batch.pk}/unsent/").content.decode()


def test_halting_denies_what_is_unsent(ops: Client) -> None:
    batch = make_batch(state="released", released_at=timezone.now())
    order = make_order(batch=batch, submission_state="recorded")
    path = f"/batches/{batch.pk}/halt/"
    assert b"field-error" in ops.post(path, {"reason": " "}).content
    assert b"1 order was not sent" in ops.post(path, {"reason": "Wrong day"}, follow=True).content
    batch.refresh_from_db()
    order.refresh_from_db()
    assert (batch.state, order.submission_state) == ("halted", "denied")
    assert b"nothing left to halt" in ops.post(path, {"reason": "Again"}, follow=True).content
    assert "Halt</" not in page(ops, f"/batches/{batch.pk}/", headers=HTMX)


def test_batches_are_listed_filtered_and_exported(ops: Client) -> None:
    batch = make_batch(name="monday.csv")
    make_order(batch=batch)
    make_batch(name="tuesday.csv", state="finished", finished_at=timezone.now() + timedelta(minutes=1))
    assert "monday.csv" in page(ops, LIST)
    assert "monday.csv" not in page(ops, f"{LIST}?state=finished")
    assert "No batches match" in page(ops, f"{LIST}?q=friday")
    rows = csv_rows(ops, f"{LIST}?format=csv&sort=batch")
    assert rows[0].startswith("batch,name,state,orders,created_by")
    assert rows[1].startswith(f"{batch.pk},monday.csv,scheduled,1,ops")
    lines = csv_rows(ops, f"/batches/{batch.pk}/?format=csv")
    assert lines[0].startswith("line,symbol,side,qty")


def test_empty_lists_say_what_to_do(ops: Client, trader: Client) -> None:
    assert "Upload a batch" in page(ops, LIST)
    assert "Batches appear here" in page(trader, LIST)


@pytest.mark.parametrize("path", [LIST, "/batches/{batch}/"])
def test_queries_do_not_grow(ops: Client, path: str, django_assert_max_num_queries) -> None:
    batch = make_batch()
    path = path.format(batch=batch.pk)
    counts = []
    for number in (2, 30):
        for _ in range(Order.objects.count(), number):
            make_order(batch=batch)
            make_batch()
        page(ops, path)
        with django_assert_max_num_queries(40) as seen:
            page(ops, path)
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_a_good_batch_of_the_simulator_is_checked_with_its_positions(
    ops: Client, sim_account: Account, sim: SimAccount
) -> None:
    """What is sold beyond what is held is said before it is recorded."""
    text = upload(ops, b"symbol,side,qty\nAAPL,sell,1\n").content.decode()
    assert "More is sold than is held" in text
    assert not sim.requests("POST", "/v2/orders")
