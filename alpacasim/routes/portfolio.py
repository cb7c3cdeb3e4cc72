"""/v2/account/portfolio/history."""

import re
from decimal import Decimal
from typing import Any

from starlette.routing import Route

from .. import portfolio
from ..call import Call, route
from ..errors import malformed, unprocessable
from ..times import DAY, SECOND, Nanos, parse_instant

_UNITS = {"D": 1, "W": 7, "M": 30, "A": 365}
_DEFAULT_PERIOD = "1M"


def history(call: Call) -> Any:
    now = call.venue.clock.now()
    start, end = _range(call, now)
    timeframe = _timeframe(call, end - start)
    at = portfolio.instants(start, end, timeframe)
    values = portfolio.equities(call.venue, call.account, at)
    base = portfolio.first_known(values)
    gains = [None if value is None or base is None else value - base for value in values]
    return {
        "base_value": _number(base),
        "cashflow": {},
        "equity": [_number(value) for value in values],
        "profit_loss": [_number(gain) for gain in gains],
        "profit_loss_pct": [None if g is None or not base else round(float(g / base), 6) for g in gains],
        "timeframe": timeframe,
        "timestamp": [instant // SECOND for instant in at],
    }


def _number(value: Decimal | None) -> float | None:
    # This route gives JSON numbers, unlike all others.
    return None if value is None else float(value)


def _range(call: Call, now: Nanos) -> tuple[Nanos, Nanos]:
    start, end = (_instant(call, name) for name in ("start", "end"))
    period = call.query.get("period")
    if start is not None and end is not None:
        if period:
            raise unprocessable("only two of start, end and period can be specified")
        return start, min(end, now)
    length = _period(period or _DEFAULT_PERIOD)
    if start is not None:
        return start, min(start + length, now)
    end = min(now if end is None else end, now)
    return end - length, end


def _instant(call: Call, name: str) -> Nanos | None:
    text = call.query.get(name)
    try:
        return parse_instant(text) if text else None
    except ValueError:
        raise malformed(f"invalid value for {name}: {text!r}") from None


def _period(text: str) -> Nanos:
    match = re.fullmatch(r"(\d{1,4})([DWMA])", text)
    if match is None:
        raise unprocessable(f"invalid period {text!r}")
    return int(match[1]) * _UNITS[match[2]] * DAY


def _timeframe(call: Call, length: Nanos) -> str:
    wanted = call.query.get("timeframe")
    if not wanted:
        return "1Min" if length < 7 * DAY else "15Min" if length < 30 * DAY else "1D"
    if wanted not in portfolio.TIMEFRAMES:
        raise unprocessable(f"invalid timeframe {wanted!r}")
    if length > 31 * DAY and wanted != "1D":
        raise unprocessable("only 1D timeframe is allowed for periods longer than 30 days")
    return wanted


ROUTES: list[Route] = [route("/v2/account/portfolio/history", get=history)]
