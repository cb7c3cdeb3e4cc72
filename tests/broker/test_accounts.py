"""Which account is meant, with which keys, at which address; and that live money takes two keys."""

import json
from pathlib import Path

import pytest
from django.conf import LazySettings

from broker.accounts import account_by_slug, base_url, credentials, data_url, default_account, stream_url
from broker.errors import BrokerNotConfigured, UnknownAccount
from broker.models import Account

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def bare(settings: LazySettings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.ALPACA_ENV = "sim"
    settings.ALPACA_ALLOW_LIVE = False
    for name in ("API_KEY", "SECRET_KEY", "BASE_URL", "STREAM_URL", "DATA_URL"):
        setattr(settings, f"ALPACA_{name}", "")


def made(slug: str, environment: str) -> Account:
    return Account.objects.create(slug=slug, name=slug, environment=environment)


@pytest.mark.parametrize(("env", "name"), [("sim", "Simulator"), ("paper", "Alpaca paper"), ("live", "Alpaca live")])
def test_the_default_account_is_made_once(settings: LazySettings, env: str, name: str) -> None:
    settings.ALPACA_ENV = env
    account = default_account()
    assert (account.slug, account.name, account.environment) == (env, name, env)
    assert default_account().pk == account.pk == account_by_slug(None).pk == account_by_slug(env).pk
    assert Account.objects.count() == 1


def test_an_unknown_account_is_named_with_the_known_ones() -> None:
    made("swing", "paper")
    assert account_by_slug("swing").slug == "swing"
    with pytest.raises(UnknownAccount, match=r"no account 'nope'. There are: sim, swing\."):
        account_by_slug("nope")


def test_the_simulator_takes_any_key() -> None:
    assert credentials(default_account()) == ("sim", "sim")
    assert credentials(made("second", "sim")) == ("second", "sim")


def test_the_default_account_has_the_plain_variables(settings: LazySettings) -> None:
    settings.ALPACA_ENV, settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = "paper", "k", "s"
    assert credentials(default_account()) == ("k", "s")


def test_accounts_side_by_side_have_their_own_variables(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALPACA_ENV, settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = "paper", "k", "s"
    monkeypatch.setenv("LONG_TERM_ALPACA_API_KEY", "k2")
    monkeypatch.setenv("LONG_TERM_ALPACA_SECRET_KEY", "s2")
    assert credentials(made("long-term", "paper")) == ("k2", "s2")
    assert credentials(made("sim", "sim")) == ("sim", "sim"), "the paper keys are for Alpaca only"


def test_missing_keys_are_named(settings: LazySettings) -> None:
    settings.ALPACA_ENV = "paper"
    with pytest.raises(BrokerNotConfigured, match="set ALPACA_API_KEY and ALPACA_SECRET_KEY"):
        credentials(default_account())
    settings.ALPACA_API_KEY = "k"
    with pytest.raises(BrokerNotConfigured, match=r"set ALPACA_SECRET_KEY\."):
        credentials(default_account())
    with pytest.raises(BrokerNotConfigured, match="SWING_ALPACA_API_KEY"):
        credentials(made("swing", "paper"))


@pytest.mark.parametrize("env", ["live", "sim"])
def test_live_money_takes_a_second_switch(settings: LazySettings, monkeypatch: pytest.MonkeyPatch, env: str) -> None:
    settings.ALPACA_ENV, settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = env, "k", "s"
    monkeypatch.setenv("LIVE_ALPACA_API_KEY", "k")
    monkeypatch.setenv("LIVE_ALPACA_SECRET_KEY", "s")
    account = default_account() if env == "live" else made("live", "live")
    with pytest.raises(BrokerNotConfigured, match="ALPACA_ALLOW_LIVE=1"):
        credentials(account)
    settings.ALPACA_ALLOW_LIVE = True
    assert credentials(account) == ("k", "s")


@pytest.mark.parametrize(
    ("environment", "url", "stream"),
    [
        ("paper", "https://paper-api.alpaca.markets", "wss://paper-api.alpaca.markets/stream"),
        ("live", "https://api.alpaca.markets", "wss://api.alpaca.markets/stream"),
        ("sim", "http://127.0.0.1:8090", "ws://127.0.0.1:8090/stream"),
    ],
)
def test_each_kind_of_money_has_its_address(environment: str, url: str, stream: str) -> None:
    account = made("some", environment)
    assert (base_url(account), stream_url(account)) == (url, stream)


def test_addresses_can_be_overridden(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL = "http://127.0.0.1:7/", "ws://127.0.0.1:8/stream"
    account = default_account()
    assert (base_url(account), stream_url(account)) == ("http://127.0.0.1:7", "ws://127.0.0.1:8/stream")
    assert base_url(made("second", "sim")) == "http://127.0.0.1:7"
    monkeypatch.setenv("SWING_ALPACA_BASE_URL", "http://127.0.0.1:9")
    assert base_url(made("swing", "paper")) == "http://127.0.0.1:9"
    assert base_url(made("other", "paper")) == "https://paper-api.alpaca.markets"


def test_a_running_simulator_is_found(settings: LazySettings, tmp_path: Path) -> None:
    account = default_account()
    (tmp_path / "simulator.json").write_text(json.dumps({"url": "http://127.0.0.1:1111"}))
    assert base_url(account) == "http://127.0.0.1:1111"
    (tmp_path / "demo.json").write_text(json.dumps({"simulator_url": "http://127.0.0.1:2222"}))
    assert base_url(account) == "http://127.0.0.1:2222"
    for half_written in ("", "{", "[]", "{}"):
        (tmp_path / "demo.json").write_text(half_written)
        assert base_url(account) == "http://127.0.0.1:1111"
    settings.ALPACA_BASE_URL = "http://127.0.0.1:3333"
    assert base_url(account) == "http://127.0.0.1:3333"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ("paper", "https://api.alpaca.markets"),
        ("paper", "https://API.alpaca.markets./"),
        ("sim", "https://paper-api.alpaca.markets"),
        ("sim", "https://api.alpaca.markets"),
        ("live", "https://paper-api.alpaca.markets"),
    ],
)
def test_an_address_that_contradicts_the_kind_of_money_is_refused(
    settings: LazySettings, environment: str, url: str
) -> None:
    settings.ALPACA_ENV, settings.ALPACA_BASE_URL = environment, url
    settings.ALPACA_STREAM_URL = url.replace("https", "wss")
    for look in (base_url, stream_url):
        with pytest.raises(BrokerNotConfigured, match="its address"):
            look(default_account())


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ("paper", "https://data.alpaca.markets"),
        ("live", "https://data.alpaca.markets"),
        ("sim", "http://127.0.0.1:8090"),
    ],
)
def test_each_kind_of_money_has_its_market_data(environment: str, url: str) -> None:
    assert data_url(made("some", environment)) == url


@pytest.mark.parametrize("env", ["sim", "paper", "live"])
def test_market_data_follows_an_overridden_address(settings: LazySettings, env: str) -> None:
    settings.ALPACA_ENV, settings.ALPACA_BASE_URL = env, "http://127.0.0.1:7/"
    assert data_url(default_account()) == "http://127.0.0.1:7"
    settings.ALPACA_DATA_URL = "http://127.0.0.1:8/"
    assert data_url(default_account()) == "http://127.0.0.1:8"


def test_an_address_that_is_alpacas_own_does_not_move_the_market_data(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALPACA_ENV, settings.ALPACA_BASE_URL = "paper", "https://paper-api.alpaca.markets/"
    assert data_url(default_account()) == "https://data.alpaca.markets"
    monkeypatch.setenv("SWING_ALPACA_DATA_URL", "http://127.0.0.1:9")
    assert data_url(made("swing", "paper")) == "http://127.0.0.1:9"


def test_a_simulated_account_never_asks_alpaca_for_market_data(settings: LazySettings) -> None:
    settings.ALPACA_DATA_URL = "https://data.alpaca.markets"
    with pytest.raises(BrokerNotConfigured, match="its address"):
        data_url(default_account())
