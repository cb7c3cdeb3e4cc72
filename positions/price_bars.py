"""Copy the candles of what is held, and was held lately, from Alpaca: charts then ask nobody."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Max, Min, Q

from broker.gateway import Gateway
from broker.models import Account
from broker.types import BrokerBar
from positions.models import Position, PriceBar

Timeframe = PriceBar.Timeframe
#: How far back each is kept. A round trip that began earlier is shown from there on.
KEPT = {Timeframe.HOUR: timedelta(days=40), Timeframe.DAY: timedelta(days=500)}
#: A chart shows what was before the entry, too.
BEFORE_ENTRY = {Timeframe.HOUR: timedelta(days=7), Timeframe.DAY: timedelta(days=120)}
#: A closed round trip is followed for as long.
CLOSED_LATELY = timedelta(days=30)
#: The last bar that is on record was still open when it was read.
_OVERLAP = {Timeframe.HOUR: timedelta(hours=2), Timeframe.DAY: timedelta(days=2)}
_ROWS_AT_ONCE = 500


def refresh_bars(*, account: Account, gateway: Gateway, now: datetime) -> int:
    """Read what is missing of every timeframe and store it; may run again at any time. Return how many bars came.

    Raises BrokerError when the market-data host does not answer: what was read before stays.
    """
    wanted = _wanted(account, now)
    return sum(_refresh(account, gateway, timeframe, wanted, now) for timeframe in Timeframe) if wanted else 0


def _wanted(account: Account, now: datetime) -> dict[str, datetime]:
    """Return the symbols with the beginning of their earliest round trip that is still looked at."""
    looked_at = Q(state__in=[Position.State.OPEN, Position.State.PENDING]) | Q(closed_at__gte=now - CLOSED_LATELY)
    rows = Position.objects.filter(looked_at, account=account).order_by().values_list("symbol")
    return {symbol: opened_at or now for symbol, opened_at in rows.annotate(begin=Min("opened_at"))}


def _refresh(
    account: Account, gateway: Gateway, timeframe: Timeframe, wanted: Mapping[str, datetime], now: datetime
) -> int:
    stored = PriceBar.objects.filter(account=account, timeframe=timeframe, symbol__in=wanted).order_by()
    last = dict(stored.values_list("symbol").annotate(last=Max("starts_at")))
    oldest = now - KEPT[timeframe]
    asked: dict[datetime, list[str]] = defaultdict(list)
    for symbol, opened_at in wanted.items():
        if symbol in last:
            begin = last[symbol] - _OVERLAP[timeframe]
        else:
            begin = max(opened_at - BEFORE_ENTRY[timeframe], oldest)
        # To the day, so that symbols of about the same age share one request.
        asked[begin.replace(hour=0, minute=0, second=0, microsecond=0)].append(symbol)
    came = 0
    for begin, symbols in asked.items():
        for symbol, bars in gateway.bars(symbols, timeframe.value, begin, now).items():
            came += _store(account, timeframe, symbol, bars)
    return came


def _store(account: Account, timeframe: Timeframe, symbol: str, bars: list[BrokerBar]) -> int:
    rows = {
        bar.starts_at: PriceBar(
            account=account,
            symbol=symbol,
            timeframe=timeframe,
            starts_at=bar.starts_at,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=bar.volume,
        )
        for bar in bars
    }
    PriceBar.objects.bulk_create(
        rows.values(),
        batch_size=_ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["account", "symbol", "timeframe", "starts_at"],
        update_fields=["open", "high", "low", "close", "volume"],
    )
    return len(rows)


def drop_old_bars(*, now: datetime) -> int:
    """Delete the bars that no chart goes back to. Return how many went."""
    old = Q()
    for timeframe, kept in KEPT.items():
        old |= Q(timeframe=timeframe, starts_at__lt=now - kept - timedelta(days=1))
    deleted, _ = PriceBar.objects.filter(old).delete()
    return deleted
