"""Keep the figures that pages show fresh: money, market state and last prices. It judges nothing."""

from datetime import datetime, timedelta

from django.db.models import Value
from django.db.models.functions import Coalesce

from broker.errors import BrokerError, BrokerUnavailable
from broker.gateway import Gateway, open_gateway
from broker.models import Account, AccountSnapshot
from positions.prices import note_prices
from work import leases

#: Snapshots of the last days stay for the equity curve; older ones are thinned out to one a day.
KEEP_EVERY_SNAPSHOT = timedelta(days=2)


def refresh_lease(account: Account) -> str:
    return f"refresh:{account.slug}"


def refresh_account(*, account: Account, now: datetime) -> str:
    """Read account, clock and positions once. What cannot be read is left as old as it is, and shows its age."""
    with leases.holding(refresh_lease(account), seconds=60) as taken:
        return _refresh(account, now) if taken else "busy"


def _refresh(account: Account, now: datetime) -> str:
    try:
        gateway = open_gateway(account)
        snapshot, found_id = _read(account, gateway, now)
        if account.is_bound and account.broker_account_id != found_id:
            return _not_read(account, now, "The keys open another account.", is_silent=False)
        positions = gateway.list_positions()
    except BrokerError as error:
        return _not_read(account, now, str(error), is_silent=isinstance(error, BrokerUnavailable))
    Account.objects.filter(pk=account.pk, unread_since__isnull=False).update(
        unread_since=None, unread_reason="", is_silent=False
    )
    snapshot.save()
    prices = {position.symbol: position.current_price for position in positions if position.current_price is not None}
    note_prices(account=account, prices=prices, now=now)
    return "refreshed"


def _not_read(account: Account, now: datetime, reason: str, *, is_silent: bool) -> str:
    """Note for the pages that the figures could not be read; the first failure says since when."""
    mine = Account.objects.filter(pk=account.pk)
    mine.update(unread_since=Coalesce("unread_since", Value(now)), unread_reason=reason[:500], is_silent=is_silent)
    return f"not refreshed: {reason}"


def _read(account: Account, gateway: Gateway, now: datetime) -> tuple[AccountSnapshot, str]:
    """Return the figures, and whose they are."""
    found, clock = gateway.get_account(), gateway.get_clock()
    snapshot = AccountSnapshot(
        account=account,
        read_at=now,
        equity=found.equity,
        last_equity=found.last_equity,
        cash=found.cash,
        buying_power=found.buying_power,
        long_market_value=found.long_market_value,
        short_market_value=found.short_market_value,
        market_is_open=clock.is_open,
        next_open=clock.next_open,
        next_close=clock.next_close,
    )
    return snapshot, found.account_id


def thin_snapshots(*, account: Account, now: datetime) -> int:
    """Delete all but the last snapshot of each day before the recent ones. Return how many went."""
    old = AccountSnapshot.objects.filter(account=account, read_at__lt=now - KEEP_EVERY_SNAPSHOT)
    last_of_day: dict[object, int] = {}
    for pk, read_at in old.order_by("read_at").values_list("pk", "read_at"):
        last_of_day[read_at.date()] = pk
    deleted, _ = old.exclude(pk__in=last_of_day.values()).delete()
    return deleted
