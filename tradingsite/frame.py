"""What stands around every page: which account and which money, the market, the kill switch, open drift."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.http import HttpRequest
from django.utils import timezone

from alerts.models import Alert
from broker.models import Account, AccountSnapshot
from orders.account_choice import active_accounts, chosen_account
from reconciliation.models import Drift, Run
from tradingsite.pulse import books_version
from tradingsite.vital_signs import Absence, absence_of_worker


@dataclass(frozen=True, slots=True)
class Market:
    """Open, closed, or not known; and when that changes."""

    is_open: bool | None
    changes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unread:
    """The figures could not be read: since when, why, and how old what is shown is."""

    headline: str
    since: datetime
    reason: str
    figures_at: datetime | None


def unread_of(account: Account, snapshot: AccountSnapshot | None) -> Unread | None:
    if account.unread_since is None:
        return None
    headline = "Alpaca does not answer" if account.is_silent else "Alpaca gives no figures of this account"
    return Unread(headline, account.unread_since, account.unread_reason, snapshot.read_at if snapshot else None)


def market_at(snapshot: AccountSnapshot | None, now: datetime) -> Market:
    """Say whether the market is open now, from what was last read. Past the second change nothing is known."""
    if snapshot is None or snapshot.market_is_open is None:
        return Market(None, None)
    opens, closes = (False, snapshot.next_open), (True, snapshot.next_close)
    # Each entry: the state that lasts until that time.
    states = (closes, opens) if snapshot.market_is_open else (opens, closes)
    for is_open, lasts_until in states:
        if lasts_until is not None and now < lasts_until:
            return Market(is_open, lasts_until)
    return Market(None, None)


class Frame:
    """Read lazily: a page that shows no frame (log-in, a fragment) asks the database nothing."""

    ENVIRONMENT_NOTES = {
        "sim": "Simulator: no real money, no real market",
        "paper": "Alpaca paper trading: no real money",
        "live": "LIVE: orders move real money",
    }

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.now = timezone.now()

    @cached_property
    def account(self) -> Account:
        return chosen_account(self._request)

    @cached_property
    def other_accounts(self) -> list[Account]:
        return [account for account in active_accounts(self._request) if account.pk != self.account.pk]

    @cached_property
    def books_version(self) -> str:
        return books_version()

    @property
    def environment_note(self) -> str:
        return self.ENVIRONMENT_NOTES.get(self.account.environment, "")

    @cached_property
    def snapshot(self) -> AccountSnapshot | None:
        return self.account.snapshots.order_by("-read_at").first()

    @property
    def market(self) -> Market:
        return market_at(self.snapshot, self.now)

    @property
    def unread(self) -> Unread | None:
        return unread_of(self.account, self.snapshot)

    @cached_property
    def no_worker(self) -> Absence | None:
        return absence_of_worker(self.now)

    @cached_property
    def open_drift_count(self) -> int:
        return Drift.objects.filter(account=self.account).open().roots().count()

    @cached_property
    def open_alert_count(self) -> int:
        return Alert.objects.filter(state=Alert.State.OPEN).count()

    @cached_property
    def last_run(self) -> Run | None:
        return Run.objects.filter(account=self.account).finished().order_by("-id").first()

    @property
    def sync_state(self) -> str:
        return self.last_run.state if self.last_run else "never"
