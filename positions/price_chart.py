"""The price of a position's symbol as candles, with its entry, stop and target and everything that was filled."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import prod

from django.utils.safestring import SafeString

from positions.exact_numbers import split_factor, times
from positions.ledger_lines import LedgerLine, in_todays_shares
from positions.models import Position, PriceBar
from ui.charts import Candle, Level, Marker, candle_chart
from ui.formatting import price, qty

TIMEFRAMES: tuple[tuple[str, str], ...] = tuple(PriceBar.Timeframe.choices)
#: What fits on a screen side by side, and how much is shown after a round trip was closed.
MOST_CANDLES = 120
_AFTERWARDS = {PriceBar.Timeframe.HOUR: timedelta(days=2), PriceBar.Timeframe.DAY: timedelta(days=14)}


def timeframe_of(text: str) -> str:
    return text if text in PriceBar.Timeframe.values else PriceBar.Timeframe.DAY.value


def price_chart(position: Position, ledger: Sequence[LedgerLine], timeframe: str) -> SafeString:
    """Draw it from the bars on record, in one query."""
    bars = PriceBar.objects.filter(account=position.account, symbol=position.symbol, timeframe=timeframe)
    if position.closed_at is not None:
        bars = bars.filter(starts_at__lte=position.closed_at + _AFTERWARDS[PriceBar.Timeframe(timeframe)])
    splits = [(line.at, split_factor(line.ratio)) for line in ledger if line.ratio is not None]
    candles = [_candle(bar, splits) for bar in bars.order_by("-starts_at")[:MOST_CANDLES]]
    label = PriceBar.Timeframe(timeframe).label
    return candle_chart(
        title=f"{position.symbol}, {label} a candle",
        unit="USD",
        candles=candles[::-1],
        levels=_levels(position),
        markers=[_marker(line) for line in ledger],
        summary="" if candles else f"No prices of {position.symbol} were read from Alpaca yet.",
        key=f"price-{position.pk}-{timeframe}",
    )


def _candle(bar: PriceBar, splits: Sequence[tuple[datetime, Fraction]]) -> Candle:
    """Bars are kept as they were traded: those before a split are drawn in today's shares, like all else."""
    factor = prod((factor for at, factor in splits if bar.starts_at < at), start=Fraction(1))
    if factor == 1:
        return Candle(bar.starts_at, bar.open, bar.high, bar.low, bar.close, bar.volume)
    first, high, low, last = (in_todays_shares(price, factor) for price in (bar.open, bar.high, bar.low, bar.close))
    return Candle(bar.starts_at, first, high, low, last, times(bar.volume, factor))


def _levels(position: Position) -> list[Level]:
    found = (
        ("Entry", position.avg_entry_price, "accent"),
        ("Stop", position.stop_loss, "bad"),
        ("Target", position.target, "ok"),
    )
    return [Level(label, value, tone) for label, value, tone in found if value is not None]


def _marker(line: LedgerLine) -> Marker:
    if line.ratio is not None:
        return Marker(line.at, line.price_today, f"Split: {qty(line.ratio)} new shares for one old", "diamond")
    if line.fill is None:
        name = line.adjustment.get_kind_display() if line.adjustment else "Entry"
        size = f" {qty(line.qty)}" if line.qty else ""
        return Marker(line.at, line.price_today, f"{name}{size} at {price(line.price)}{_today(line)}", "diamond")
    label = f"{'Bought' if line.qty > 0 else 'Sold'} {qty(abs(line.qty))} at {price(line.price)}{_today(line)}"
    return Marker(
        line.at, line.price_today, label, "up" if line.qty > 0 else "down", line.fill.order.get_absolute_url()
    )


def _today(line: LedgerLine) -> str:
    if not line.is_rescaled:
        return ""
    return f" (in today's shares {qty(abs(line.qty_today))} at {price(line.price_today)})"
