"""Keep what charts show: the candles of what is held, and equity day by day. It judges nothing."""

import logging
from datetime import datetime, timedelta

from broker.errors import BrokerError
from broker.gateway import Gateway, open_gateway
from broker.models import Account, EquityPoint
from broker.times import NEW_YORK
from positions.price_bars import refresh_bars
from work import leases

logger = logging.getLogger(__name__)

#: How old the newest candle may become, and how long a new position waits for its chart.
REFRESH_EVERY_SECONDS = 60.0
_HISTORY = timedelta(days=365)
_AN_OVERLAP = timedelta(days=7)
_ONE_DAY = timedelta(days=1)


def charts_are_due(account: Account, now: datetime) -> bool:
    """Return True once a minute, to one caller."""
    return leases.take(_turn(account), seconds=REFRESH_EVERY_SECONDS, now=now, holder="queue")


def ask_for_charts(account: Account) -> None:
    """Something new is held: its chart shall not wait for the next minute."""
    leases.give_back(_turn(account), holder="queue")


def _turn(account: Account) -> str:
    return f"queued:charts-due:{account.pk}"


def refresh_charts(*, account: Account, now: datetime) -> str:
    """Read what is missing of candles and of the history of equity. What cannot be read stays as old as it is."""
    try:
        gateway = open_gateway(account)
        refresh_equity(account=account, gateway=gateway, now=now)
        came = refresh_bars(account=account, gateway=gateway, now=now)
    except BrokerError as error:
        # Nobody trades by a chart: what else Alpaca must be asked is asked all the same.
        logger.info("the charts of %s are not refreshed: %s", account.slug, error)
        return f"not refreshed: {error}"
    return f"{came} bars"


def refresh_equity(*, account: Account, gateway: Gateway, now: datetime) -> int:
    """Store equity of each day that is over, from the last one on record. Return how many days came."""
    today = now.astimezone(NEW_YORK).date()
    last = EquityPoint.objects.filter(account=account).order_by("day").last()
    if last is not None and last.day >= today - _ONE_DAY:
        return 0
    begin = (last.day - _AN_OVERLAP) if last else today - _HISTORY
    points = {point.day: point.equity for point in gateway.equity_history(begin) if point.day < today}
    EquityPoint.objects.bulk_create(
        [EquityPoint(account=account, day=day, equity=equity) for day, equity in sorted(points.items())],
        update_conflicts=True,
        unique_fields=["account", "day"],
        update_fields=["equity"],
    )
    return len(points)
