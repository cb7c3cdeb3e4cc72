"""The report of a day: made once after the close, kept as it was, sent as HTML by mail and as Markdown elsewhere."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from markdown import markdown

from alerts import tasks
from alerts.addresses import parse
from alerts.channels import ensure_channels
from alerts.courier import Courier
from alerts.daily_report import LONGEST_MESSAGE, make_report, shortened
from alerts.daily_text import escaped
from alerts.models import Channel, DailyReport, Delivery
from alerts.tasks import report_if_due, session_of
from audit import journal
from audit.chain import current_head
from broker.models import AccountSnapshot, TradingDay
from broker.times import in_new_york
from positions.models import Position
from reconciliation.models import Drift, Run
from tests.alerts.receivers import mail_server, webhook
from tests.factories import make_account, make_fill, make_order

DAY = date(2025, 11, 7)
#: A minute after the close in New York.
CLOSE = datetime(2025, 11, 7, 21, 1, tzinfo=UTC)
EVIL = "<script>alert(1)</script>|=cmd"


@pytest.fixture
def account(db):
    return make_account()


def make_close_run(account, at=CLOSE, state="drift", **fields):
    times = {"requested_at": at, "started_at": at, "finished_at": at + timedelta(seconds=5)}
    return Run.objects.create(
        account=account, trigger="close", state=state, requested_by="system:schedule", **{**times, **fields}
    )


@pytest.fixture
def day(account):
    """An order with its fill, a position, a difference, figures, and what lies outside the day."""
    order = make_order(account, symbol="QCOM", status="filled", recorded_at=CLOSE - timedelta(hours=6), qty="10",
                       filled_qty="10", filled_avg_price="100.5")  # fmt: skip
    make_fill(order, at=CLOSE - timedelta(hours=6), price="100.5")
    make_order(account, symbol="OLDER", recorded_at=CLOSE - timedelta(days=2), submitted_at=CLOSE - timedelta(days=2))
    Position.objects.create(
        account=account, symbol="QCOM", sequence=1, state="open", side="long", qty="10", entry_qty="10",
        avg_entry_price="100.5", cost_basis="1005", realized_pl="0", rebuilt_at=CLOSE, stop_loss="92.46",
        target="116.58", risk_per_share="8.04", total_risk="80.40", last_price="101",
    )  # fmt: skip
    run = make_close_run(account)
    Drift.objects.create(
        account=account, key="missing_fill:1", kind="missing_fill", group="fills", severity="high", sentence=EVIL,
        dollars="1005", local={}, broker={}, first_run=run, last_run=run, first_seen_at=CLOSE, last_seen_at=CLOSE,
    )  # fmt: skip
    AccountSnapshot.objects.create(
        account=account, read_at=CLOSE - timedelta(minutes=2), equity="104233.17", last_equity="103028.67",
        cash="21000.5", buying_power="42000", long_market_value="1010", short_market_value="0",
    )  # fmt: skip
    journal.record(at=CLOSE, actor="ops", action="x.done", summary="Did it")
    return account


def test_it_tells_the_day(day):
    report = make_report(account=day, day=DAY, now=CLOSE)
    assert report is not None
    text = report.markdown
    for said in (
        "Equity $104,233.17, +1,204.50 since the last close",
        "1 open; total risk $80.40.",
        "| QCOM | long | 10 | 100.50 | 101.00 | +5.00 | 92.46 | 116.58 | $80.40 |",
        "1 order (1 filled), 1 fill.",
        "1 found, 0 repaired and verified, 0 resolved, 1 open.",
        "At the close: run",
        "**drift**",
    ):
        assert said in text
    assert "OLDER" not in text
    head = current_head()
    assert f"head `{head}`" in text
    assert str(head) in report.html
    for shown in (report.html, text, markdown(text, extensions=["tables"])):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown


def test_an_empty_day_can_be_told(account):
    report = make_report(account=account, day=DAY, now=CLOSE)
    assert report is not None
    assert "figures were not read" in report.markdown


def test_it_is_made_once(day, settings):
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    ensure_channels(CLOSE)
    assert make_report(account=day, day=DAY, now=CLOSE) is not None
    Drift.objects.update(state="resolved")
    assert make_report(account=day, day=DAY, now=CLOSE + timedelta(hours=1)) is None
    assert DailyReport.objects.get().facts["drift"]["open_count"] == 1  # kept as it was
    assert Delivery.objects.get().purpose == "report"


def test_it_goes_as_html_by_mail_and_as_markdown_elsewhere(day, settings):
    with webhook() as hook, mail_server() as mail:
        settings.ALERT_CHANNELS = parse(f"desk={hook.address()} post={mail.address()} none=json://127.0.0.1:1/")
        ensure_channels(CLOSE)
        Channel.objects.filter(name="none").update(sends_reports=False)
        make_report(account=day, day=DAY, now=CLOSE)
        Courier().carry(lambda: CLOSE, seconds=10)
        assert hook.got[0]["title"] == (
            "Daily report [sim] 2025-11-07: +1,204.50 today, equity $104,233.17, 1 open drift"
        )
        assert "## Positions" in hook.got[0]["message"]
        assert "Content-Type: text/html" in mail.got[0]
    assert set(Delivery.objects.values_list("channel__name", "state")) == {("desk", "sent"), ("post", "sent")}


def test_it_is_due_when_the_run_at_the_close_has_ended(account, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: CLOSE)
    assert tasks.daily_report() == "0 reports made"
    run = make_close_run(account, state="running", finished_at=None)
    assert not report_if_due(account, CLOSE + timedelta(minutes=29))
    run.state, run.finished_at = "in_sync", CLOSE
    run.save()
    assert tasks.daily_report() == "1 reports made"
    assert tasks.daily_report() == "0 reports made"
    assert DailyReport.objects.get().day == DAY


def test_a_run_that_does_not_end_is_not_waited_for_all_night(account):
    make_close_run(account, state="running", finished_at=None)
    assert report_if_due(account, CLOSE + timedelta(minutes=31))
    assert "**running**" in DailyReport.objects.get().markdown


@pytest.mark.parametrize(
    ("requested", "session"),
    [
        (datetime(2025, 11, 7, 21, 0, tzinfo=UTC), date(2025, 11, 7)),
        (datetime(2025, 11, 28, 18, 0, tzinfo=UTC), date(2025, 11, 28)),  # a half day: 13:00
        (datetime(2025, 11, 28, 17, 59, tzinfo=UTC), date(2025, 11, 26)),  # made up before that close
        (datetime(2025, 11, 8, 3, 0, tzinfo=UTC), date(2025, 11, 7)),  # 22:00 on Friday
        (datetime(2025, 11, 8, 15, 0, tzinfo=UTC), date(2025, 11, 7)),  # made up on Saturday
        (datetime(2025, 11, 10, 13, 0, tzinfo=UTC), date(2025, 11, 7)),  # made up on Monday at 8
        (datetime(2025, 7, 7, 20, 0, tzinfo=UTC), date(2025, 7, 7)),  # 16:00 in summer
    ],
)
@pytest.mark.django_db
def test_the_session_of_a_run_at_the_close(requested, session):
    half_day = date(2025, 11, 28)
    TradingDay.objects.create(
        day=half_day,
        open_at=in_new_york(half_day, time(9, 30)),
        close_at=in_new_york(half_day, time(13)),
        read_at=CLOSE,
    )
    TradingDay.objects.create(day=date(2025, 11, 27), read_at=CLOSE)  # Thanksgiving
    assert session_of(requested) == session


@given(st.text("ab\n|#-.", max_size=3 * LONGEST_MESSAGE))
def test_a_message_is_never_too_long(text):
    assert len(shortened(text, link="https://x/", journal="12:abc")) <= LONGEST_MESSAGE


def test_a_report_that_is_cut_keeps_the_head_of_the_journal_and_so_does_the_log(day, settings, caplog):
    for number in range(80):
        make_order(day, symbol=f"S{number}", recorded_at=CLOSE, refusal="a refusal in so many words", qty="1")
    settings.ALERT_CHANNELS = parse("desk=json://127.0.0.1:1/")
    ensure_channels(CLOSE)
    with caplog.at_level("INFO"):
        report = make_report(account=day, day=DAY, now=CLOSE)
    assert report is not None
    body = Delivery.objects.get().body
    assert len(report.markdown) > LONGEST_MESSAGE >= len(body)
    assert f"head `{current_head()}`" in body
    assert str(current_head()) in caplog.text


@given(st.text(max_size=60))
def test_no_text_becomes_markup(text):
    html = markdown(f"- {escaped(text)}", extensions=["tables"])
    inner = html.replace("<ul>", "").replace("</ul>", "").replace("<li>", "").replace("</li>", "")
    assert "<" not in inner


# --- Pages ----------------------------------------------------------------------------------------------------


def test_the_pages(client, people, day):
    report = make_report(account=day, day=DAY, now=CLOSE)
    assert report is not None
    client.force_login(people.trader)
    assert "2025-11-07" in client.get("/reports/").content.decode()
    page = client.get(f"/reports/{report.pk}/").content.decode()
    assert "Equity <strong>$104,233.17" in page
    assert "<script>alert" not in page
    assert client.get("/reports/?day=2025-11-07").url == f"/reports/{report.pk}/"
    assert client.get("/reports/?day=2025-11-08").status_code == 404
    assert client.get("/reports/?day=nonsense").status_code == 200
    for form, text in (("md", report.markdown), ("html", report.html)):
        answer = client.get(f"/reports/{report.pk}/?format={form}")
        assert answer.content.decode() == text
        assert answer["Content-Disposition"] == f'attachment; filename="report-sim-2025-11-07.{form}"'
    assert b'2025-11-07,"$104,233.17"' in b"".join(client.get("/reports/?format=csv").streaming_content)
