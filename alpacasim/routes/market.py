"""/v2/clock, /v2/calendar and /v2/assets."""

from datetime import date
from typing import Any

from starlette.routing import Route

from .. import sessions
from ..call import Call, route
from ..errors import VenueError, not_found

# A calendar without bounds would be endless; Alpaca's begins and ends at about these years.
_EARLIEST, _LATEST = date(1970, 1, 1), date(2029, 12, 31)


def clock(call: Call) -> Any:
    return call.venue.clock.to_json()


def calendar(call: Call) -> Any:
    start = max(_day(call, "start") or _EARLIEST, _EARLIEST)
    end = min(_day(call, "end") or _LATEST, _LATEST)
    return [session.to_json() for session in sessions.sessions_between(start, end)]


def _day(call: Call, name: str) -> date | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise VenueError(400, 40010000, f"invalid value for {name}: {text!r}") from None


def list_assets(call: Call) -> Any:
    wanted = set(filter(None, call.query.get("attributes", "").split(",")))
    documents = [asset.to_json() for asset in call.venue.assets.all()]
    return [d for d in documents if _is_wanted(call, d) and (not wanted or wanted & set(d["attributes"]))]


def _is_wanted(call: Call, document: dict[str, Any]) -> bool:
    filters = {
        "class": call.query.get("asset_class") or "us_equity",
        "status": call.query.get("status"),
        "exchange": call.query.get("exchange"),
    }
    return all(document[name] == value for name, value in filters.items() if value)


def get_asset(call: Call) -> Any:
    asset = call.venue.assets.find(call.path["symbol"])
    if asset is None:
        raise not_found(f"asset not found for {call.path['symbol']}")
    return asset.to_json()


ROUTES: list[Route] = [
    route("/v2/clock", get=clock),
    route("/v2/calendar", get=calendar),
    route("/v2/assets", get=list_assets),
    route("/v2/assets/{symbol:path}", get=get_asset),
]
