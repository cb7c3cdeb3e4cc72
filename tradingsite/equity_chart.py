"""The curve of an account's equity: today by the figures as they were read, and the days before by their last ones."""

from datetime import datetime, timedelta
from typing import Literal

from django.db.models import F, QuerySet
from django.db.models.functions import Mod
from django.utils.safestring import SafeString

from broker.models import Account, AccountSnapshot, EquityPoint
from reconciliation.refreshing import KEEP_EVERY_SNAPSHOT
from tradingsite.standing import Money
from ui.charts import Point, Series, line_chart
from ui.charts.scales import moment_of
from ui.formatting import NEW_YORK, dollars, percent, signed

Span = Literal["day", "year"]
SPANS: tuple[tuple[Span, str], ...] = (("day", "Today"), ("year", "1 year"))
#: More points than this nobody can tell apart, and the table beside the chart would be endless.
MOST_POINTS = 150
MOST_POINTS_OF_A_YEAR = 400
FEW_POINTS = 20
_YEAR = timedelta(days=366)


def span_of(text: str) -> Span:
    return "year" if text == "year" else "day"


def equity_chart(account: Account, money: Money | None, span: Span, now: datetime) -> SafeString:
    """Draw it; four queries at most, however many figures were read."""
    points = _of_today(account, now) if span == "day" else _of_the_year(account, now)
    if money is not None and (not points or points[-1].at != money.read_at):
        points.append(Point(money.read_at, money.equity))
    series = [Series("Equity", points)]
    if span == "day" and money is not None and len(points) > 1:
        before = money.equity - money.day_change
        series.append(Series("Last close", [Point(points[0].at, before), Point(points[-1].at, before)], "mute"))
    return line_chart(
        title="Equity",
        unit="USD",
        series=series,
        summary=_summary(money),
        height=220,
        key=f"equity-{span}",
    )


def _summary(money: Money | None) -> str:
    if money is None:
        return "Nothing was read yet."
    share = "" if money.day_change_share is None else f" ({percent(money.day_change_share)})"
    return f"{dollars(money.equity)}, {signed(money.day_change)}{share} since the last close."


def _of_today(account: Account, now: datetime) -> list[Point]:
    midnight = now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    return _sampled(account.snapshots.filter(read_at__gte=midnight))


def _of_the_year(account: Account, now: datetime) -> list[Point]:
    """Days from Alpaca's history where there are some; what we read ourselves goes on from the last of them.

    Of each day that is over for long one figure is kept, so all of those are taken; of the last days only a few.
    """
    begin = now - _YEAR
    known = EquityPoint.objects.filter(account=account, day__gte=begin.date()).order_by("day")
    days = list(known.values_list("day", "equity"))
    points = [Point(day, equity) for day, equity in days]
    if days:
        begin = moment_of(days[-1][0]) + timedelta(days=1)
    lately = max(begin, now - KEEP_EVERY_SNAPSHOT)
    old = account.snapshots.filter(read_at__gte=begin, read_at__lt=lately).order_by("read_at")
    points += [Point(at, equity) for at, equity in old.values_list("read_at", "equity")[:MOST_POINTS_OF_A_YEAR]]
    return points + _sampled(account.snapshots.filter(read_at__gte=lately), most=FEW_POINTS)


def _sampled(snapshots: "QuerySet[AccountSnapshot]", *, most: int = MOST_POINTS) -> list[Point]:
    """Take every 2nd, 4th, 8th … figure, so that the curve stays the same while new ones come in."""
    count, step = snapshots.count(), 1
    while count > most * step:
        step *= 2
    found = snapshots.annotate(place=Mod(F("pk"), step)).filter(place=0) if step > 1 else snapshots
    return [Point(at, equity) for at, equity in found.order_by("read_at").values_list("read_at", "equity")]
