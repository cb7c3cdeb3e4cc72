"""Which account is meant, under which keys and at which address it is reached.

Keys live in the environment, never in the database. ALPACA_API_KEY, ALPACA_SECRET_KEY, ALPACA_BASE_URL,
ALPACA_STREAM_URL and ALPACA_DATA_URL are those of the default account, the one of ALPACA_ENV. Any other account has
its own under its slug in front: for the slug "swing" SWING_ALPACA_API_KEY, SWING_ALPACA_SECRET_KEY and so on.
"""

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from broker.errors import BrokerNotConfigured, UnknownAccount
from broker.models import Account, Environment

_NAMES = {Environment.SIM: "Simulator", Environment.PAPER: "Alpaca paper", Environment.LIVE: "Alpaca live"}
_ADDRESSES = {
    Environment.PAPER: "https://paper-api.alpaca.markets",
    Environment.LIVE: "https://api.alpaca.markets",
}
_LIVE_HOST = "api.alpaca.markets"
_ALPACA_DOMAIN = ".alpaca.markets"
# One host has the market data of paper and live accounts.
_DATA_ADDRESS = "https://data.alpaca.markets"
_SIMULATOR = "http://127.0.0.1:8090"
# Where a running simulator of this installation leaves its address, and under which name.
_SIMULATOR_NOTES = (("demo.json", "simulator_url"), ("simulator.json", "url"))


def default_account() -> Account:
    """Return the account of ALPACA_ENV, made if it is missing."""
    environment = Environment(settings.ALPACA_ENV)
    account, _created = Account.objects.get_or_create(
        slug=environment.value, defaults={"name": _NAMES[environment], "environment": environment}
    )
    return account


def account_by_slug(slug: str | None) -> Account:
    if not slug or slug == settings.ALPACA_ENV:
        return default_account()
    account = Account.objects.filter(slug=slug).first()
    if account is None:
        known = sorted({default_account().slug, *Account.objects.values_list("slug", flat=True)})
        raise UnknownAccount(f"There is no account {slug!r}. There are: {', '.join(known)}.")
    return account


def credentials(account: Account) -> tuple[str, str]:
    """Return key id and secret. Live money takes two keys: its own, and ALPACA_ALLOW_LIVE."""
    if account.environment == Environment.LIVE and not settings.ALPACA_ALLOW_LIVE:
        raise BrokerNotConfigured(
            f"The account {account.slug} trades live money. That takes a second switch: set ALPACA_ALLOW_LIVE=1."
        )
    key, secret = _setting(account, "ALPACA_API_KEY"), _setting(account, "ALPACA_SECRET_KEY")
    if account.environment == Environment.SIM:
        # Every key is an account of its own at the simulator.
        return key or account.slug, secret or "sim"
    missing = [name for name, value in (("ALPACA_API_KEY", key), ("ALPACA_SECRET_KEY", secret)) if not value]
    if missing:
        names = " and ".join(_name(account, name) for name in missing)
        raise BrokerNotConfigured(f"The account {account.slug} has no credentials: set {names}.")
    return key, secret


def base_url(account: Account) -> str:
    url = _setting(account, "ALPACA_BASE_URL")
    if not url and account.environment == Environment.SIM:
        url = _simulator_url()
    url = (url or _ADDRESSES[Environment(account.environment)]).rstrip("/")
    _refuse_wrong_venue(account, url)
    return url


def stream_url(account: Account) -> str:
    if url := _setting(account, "ALPACA_STREAM_URL"):
        _refuse_wrong_venue(account, url)
        return url
    # http becomes ws, https becomes wss.
    return "ws" + base_url(account).removeprefix("http") + "/stream"


def data_url(account: Account) -> str:
    """Return where market data is read: at Alpaca's data host, or wherever else the account is reached."""
    if url := _setting(account, "ALPACA_DATA_URL").rstrip("/"):
        if account.environment == Environment.SIM:
            _refuse_wrong_venue(account, url)
        return url
    url = base_url(account)
    return _DATA_ADDRESS if _host(url).endswith(_ALPACA_DOMAIN) else url


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def _refuse_wrong_venue(account: Account, url: str) -> None:
    """Every page says which money it is: an address that contradicts that is never asked."""
    host = _host(url)
    is_live_host = host == _LIVE_HOST
    if is_live_host and account.environment != Environment.LIVE:
        raise BrokerNotConfigured(
            f"The account {account.slug} is {account.environment}, but its address {host} is that of live money."
        )
    if host.endswith(_ALPACA_DOMAIN) and account.environment == Environment.SIM:
        raise BrokerNotConfigured(f"The account {account.slug} is simulated, but its address {host} is Alpaca's.")
    if host.endswith(_ALPACA_DOMAIN) and not is_live_host and account.environment == Environment.LIVE:
        raise BrokerNotConfigured(f"The account {account.slug} is live, but its address {host} is not the live one.")


def _name(account: Account, name: str) -> str:
    if account.slug == settings.ALPACA_ENV:
        return name
    return f"{account.slug.upper().replace('-', '_')}_{name}"


def _setting(account: Account, name: str) -> str:
    if account.slug == settings.ALPACA_ENV:
        return str(getattr(settings, name))
    return os.environ.get(_name(account, name), "")


def _simulator_url() -> str:
    """The simulators of one installation are one process, whichever account is meant."""
    if settings.ALPACA_ENV == Environment.SIM and settings.ALPACA_BASE_URL:
        return str(settings.ALPACA_BASE_URL)
    for file_name, field in _SIMULATOR_NOTES:
        try:
            note = json.loads((Path(settings.DATA_DIR) / file_name).read_text())
            return str(note[field])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # no simulator is running, or it is just writing its note: the next place
    return _SIMULATOR
