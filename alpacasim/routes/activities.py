"""/v2/account/activities, in pages."""

from itertools import islice
from typing import Any

from starlette.routing import Route

from ..activities import FILL, GROUPS
from ..call import Call, route
from ..errors import malformed, unprocessable
from ..index import Key
from ..times import DAY, Nanos, parse_instant

LARGEST_PAGE = 100
_LAST, _FIRST = 2**62, -1


def list_activities(call: Call) -> Any:
    types, category = call.query.get("activity_types"), call.query.get("category")
    if types and category:
        raise malformed("category cannot be used with activity_types")
    if category and category not in {"trade_activity", "non_trade_activity"}:
        raise malformed(f"invalid value for category: {category!r}")
    return _page(call, _types(types), category)


def list_of_type(call: Call) -> Any:
    return _page(call, _types(call.path["activity_type"]), None)


def _types(text: str | None) -> set[str] | None:
    if not text:
        return None
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    return {member for name in names for member in GROUPS.get(name, (name,))}


def _page(call: Call, types: set[str] | None, category: str | None) -> list[dict[str, Any]]:
    size = call.whole("page_size", LARGEST_PAGE)
    if not 1 <= size <= LARGEST_PAGE:
        raise unprocessable(f"page_size must be between 1 and {LARGEST_PAGE}")
    ascending = call.choice("direction", ("desc", "asc")) == "asc"
    after, before = _bounds(call, ascending=ascending)
    chosen = call.account.activities.select(
        types=types, order_id=call.query.get("order_id"), after=after, before=before, ascending=ascending
    )
    if category:
        trades = category == "trade_activity"
        chosen = (activity for activity in chosen if (activity.activity_type == FILL) == trades)
    return [activity.body for activity in islice(chosen, size)]


def _bounds(call: Call, *, ascending: bool) -> tuple[Key | None, Key | None]:
    day, after, until = (_instant(call, name) for name in ("date", "after", "until"))
    low: Key | None = None if after is None else (after, _LAST)
    high: Key | None = None if until is None else (until, _FIRST)
    if day is not None:
        low, high = (day, _FIRST), (day - day % DAY + DAY, _FIRST)
    token = call.query.get("page_token")
    if token:
        last = call.account.activities.find(token)
        if last is None:
            raise unprocessable(f"invalid page_token: {token}")
        if ascending:
            low = last.key if low is None else max(low, last.key)
        else:
            high = last.key if high is None else min(high, last.key)
    return low, high


def _instant(call: Call, name: str) -> Nanos | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        raise malformed(f"invalid value for {name}: {text!r}") from None


ROUTES: list[Route] = [
    route("/v2/account/activities", get=list_activities),
    route("/v2/account/activities/{activity_type}", get=list_of_type),
]
