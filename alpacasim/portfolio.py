"""Equity over time, from the fills and the price paths."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from . import sessions
from .accounts import Account
from .activities import FILL, SHARE_MOVES
from .numbers import ZERO, cents
from .times import DAY, SECOND, Nanos, new_york_date
from .venue import Venue

TIMEFRAMES: dict[str, Nanos] = {
    "1Min": 60 * SECOND, "5Min": 300 * SECOND, "15Min": 900 * SECOND, "1H": 3600 * SECOND, "1D": DAY,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Holdings:
    """Cash and shares at one instant."""

    cash: Decimal
    shares: dict[str, Decimal]


def instants(start: Nanos, end: Nanos, timeframe: str) -> list[Nanos]:
    """One instant for each window: session closes for days, else steps within regular hours."""
    days = sessions.sessions_between(new_york_date(start), new_york_date(end))
    if timeframe == "1D":
        return [session.close for session in days if session.open <= end]
    step = TIMEFRAMES[timeframe]
    return [at for s in days for at in range(s.open, s.close + 1, step) if start <= at <= end]


def equities(venue: Venue, account: Account, at: list[Nanos]) -> list[Decimal | None]:
    """Equity at each of the ascending instants; None before the account was made."""
    now = venue.clock.now()
    held = _holdings_at(account, at)
    found: list[Decimal | None] = []
    for instant, holdings in zip(at, held, strict=True):
        if instant < account.created_at:
            found.append(None)
            continue
        # The window that is still running is worth what it is worth now.
        moment = min(instant, now)
        price = venue.prices.price if moment == now else venue.prices.path
        value = sum((qty * price(symbol, moment) for symbol, qty in holdings.shares.items()), ZERO)
        found.append(cents(holdings.cash + value))
    return found


def _holdings_at(account: Account, at: list[Nanos]) -> list[Holdings]:
    """Walks back from the present, undoing each activity on the way."""
    shares = defaultdict(Decimal, {symbol: p.qty for symbol, p in account.positions.items()})
    cash, found = account.cash, []
    past = account.activities.select(ascending=False)
    activity = next(past, None)
    for instant in reversed(at):
        while activity is not None and activity.at > instant:
            body = activity.body
            if body["activity_type"] == FILL:
                signed = Decimal(body["qty"]) * (1 if body["side"] == "buy" else -1)
                shares[body["symbol"]] -= signed
                cash += signed * Decimal(body["price"])
            else:
                cash -= Decimal(str(body.get("net_amount", 0)))
                if body["activity_type"] in SHARE_MOVES:
                    shares[body["symbol"]] -= Decimal(str(body.get("qty", 0)))
            activity = next(past, None)
        found.append(Holdings(cash, {symbol: qty for symbol, qty in shares.items() if qty}))
    return found[::-1]


def first_known(values: Iterable[Decimal | None]) -> Decimal | None:
    return next((value for value in values if value is not None), None)
