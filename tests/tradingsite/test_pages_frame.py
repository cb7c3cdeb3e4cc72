"""The market's state from what was last read, and the account that a page is about."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from broker.models import Account, AccountSnapshot
from tests.factories import make_account
from tests.tradingsite.test_pages import make_snapshot
from tradingsite.frame import Market, market_at
from work.heartbeat import beat

READ = datetime(2025, 11, 6, 15, 0, tzinfo=UTC)
CLOSE = datetime(2025, 11, 6, 21, 0, tzinfo=UTC)
OPEN = datetime(2025, 11, 7, 14, 30, tzinfo=UTC)


def snapshot(*, is_open, next_open=OPEN, next_close=CLOSE):
    return AccountSnapshot(read_at=READ, market_is_open=is_open, next_open=next_open, next_close=next_close)


@pytest.mark.parametrize(
    ("now", "market"),
    [
        (READ, Market(True, CLOSE)),
        (CLOSE - timedelta(seconds=1), Market(True, CLOSE)),
        (CLOSE, Market(False, OPEN)),
        (OPEN, Market(None, None)),
    ],
)
def test_an_open_market_closes_when_it_said_it_would(now, market):
    assert market_at(snapshot(is_open=True), now) == market


@pytest.mark.parametrize(
    ("now", "market"),
    [
        (CLOSE, Market(False, OPEN)),
        (OPEN, Market(True, OPEN + timedelta(hours=6))),
        (OPEN + timedelta(hours=6), Market(None, None)),
    ],
)
def test_a_closed_market_opens_when_it_said_it_would(now, market):
    closed = snapshot(is_open=False, next_close=OPEN + timedelta(hours=6))
    assert market_at(closed, now) == market


def test_what_was_never_read_is_not_known():
    assert market_at(None, READ) == Market(None, None)
    assert market_at(snapshot(is_open=None), READ) == Market(None, None)
    assert market_at(snapshot(is_open=True, next_open=None, next_close=None), READ) == Market(None, None)


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    make_account("sim")
    make_account("paper", environment="paper")
    make_account("old", is_active=False)
    return client


def account_of(client, path="/", **headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.context["frame"].account.slug


def test_the_default_account_until_another_is_chosen(reader):
    assert account_of(reader) == "sim"
    assert account_of(reader, "/?account=paper") == "paper"
    assert account_of(reader, "/orders/") == "paper"
    assert account_of(reader, "/orders/?account=sim") == "sim"


def test_a_fragment_belongs_to_the_account_of_its_page(reader):
    """Two tabs with different accounts: the refresh of one must not show the money of the other."""
    reader.get("/?account=paper")
    fragment = {"HX-Request": "true", "X-Account": "sim"}
    assert account_of(reader, "/", **fragment) == "sim"
    assert account_of(reader) == "paper"


@pytest.mark.parametrize("slug", ["old", "nobody"])
def test_an_unknown_or_inactive_account_is_not_replaced_by_another(reader, slug):
    assert reader.get(f"/?account={slug}").status_code == 404
    assert reader.get("/", headers={"X-Account": slug}).status_code == 404


def test_an_account_that_became_inactive_falls_back_to_the_default(reader):
    reader.get("/?account=paper")
    make_account("paper").__class__.objects.filter(slug="paper").update(is_active=False)
    assert account_of(reader) == "sim"


def test_other_accounts_are_one_click_away_and_inactive_ones_are_not(reader):
    text = reader.get("/positions/").content.decode()
    assert 'href="/positions/?account=paper"' in text
    assert "account=old" not in text


def text_of(client, path="/orders/", **headers):
    return client.get(path, headers=headers).content.decode()


def test_while_alpaca_answers_and_a_worker_lives_nothing_is_said(reader):
    beat("ticker", now=timezone.now())
    assert "data-trouble" not in text_of(reader)


@pytest.mark.parametrize(("is_silent", "sentence"), [(True, "does not answer"), (False, "gives no figures")])
def test_every_page_says_since_when_alpaca_cannot_be_read_and_how_old_the_figures_are(reader, is_silent, sentence):
    account = Account.objects.get(slug="sim")
    make_snapshot(account, read_at=READ)
    since = READ + timedelta(minutes=1)
    Account.objects.filter(slug="sim").update(unread_since=since, unread_reason="It was refused.", is_silent=is_silent)
    for text in (text_of(reader, "/orders/?account=sim"), text_of(reader, "/strip/")):
        assert f"Alpaca {sentence}" in text
        assert "It was refused." in text
        assert "10:01" in text
        assert "10:00" in text
        assert "Figures are as of" in text
    assert 'data-trouble="unread"' not in text_of(reader, "/orders/?account=paper")


def test_every_page_says_that_no_worker_is_running(reader):
    assert "No worker is running" in text_of(reader)
    beat("ticker", now=timezone.now() - timedelta(minutes=2))
    assert "the last sign of one came" in text_of(reader)
