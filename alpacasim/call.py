"""One authorised API call, and how a handler's result becomes an answer."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .accounts import Account
from .errors import VenueError, malformed, too_many_requests, unauthorized
from .faults import Fault
from .simulator import Simulator
from .venue import Venue

Handler = Callable[["Call"], Any]

# Each API of Alpaca has a request limit of its own.
TRADING, MARKET_DATA = "trading", "market data"


@dataclass(frozen=True, slots=True)
class Answer:
    """A result with a status of its own."""

    status: int
    body: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    simulator: Simulator
    account: Account
    path: dict[str, str]
    query: dict[str, str]
    content: bytes
    # Faults that change what the handler itself does, by kind.
    faults: dict[str, Fault]

    @property
    def venue(self) -> Venue:
        return self.simulator.venue

    def body(self) -> dict[str, Any]:
        try:
            # Numbers stay decimal: through float they would change.
            document = json.loads(self.content or b"{}", parse_float=Decimal)
        except ValueError:
            raise VenueError(400, 40010000, "request body format is invalid") from None
        if not isinstance(document, dict):
            raise VenueError(400, 40010000, "request body format is invalid")
        return document

    def whole(self, name: str, default: int) -> int:
        text = self.query.get(name, "")
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise malformed(f"invalid value for {name}: {text!r}") from None

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices, the first by default."""
        value = self.query.get(name) or choices[0]
        if value not in choices:
            raise malformed(f"invalid value for {name}: {value!r}")
        return value


def route(path: str, *, limit: str = TRADING, **handlers: Handler) -> Route:
    """A route whose handlers are given by method: `route("/v2/clock", get=clock)`."""

    async def endpoint(request: Request) -> Response:
        handler = handlers["get" if request.method == "HEAD" else request.method.lower()]
        return _run(handler, request, await request.body(), limit)

    return Route(path, endpoint, methods=[method.upper() for method in handlers])


def _run(handler: Handler, request: Request, content: bytes, limit: str) -> Response:
    simulator: Simulator = request.app.state.simulator
    key_id = request.headers.get("APCA-API-KEY-ID", "")
    headers = {"X-Request-ID": uuid.uuid4().hex}
    if not key_id and not request.headers.get("Authorization"):
        return no_credentials(headers)
    try:
        key_id = _authorized(request, key_id)
        allowed = simulator.limits.take(key_id, limit)
        headers |= simulator.limits.headers(key_id, limit)
        if not allowed:
            raise too_many_requests()
        account = simulator.venue.account(key_id)
        path = {name: str(value) for name, value in request.path_params.items()}
        faults = request.scope.get("alpacasim.faults", {})
        result = handler(Call(simulator, account, path, dict(request.query_params), content, faults))
        answer = result if isinstance(result, Answer) else Answer(200, result)
    except VenueError as error:
        answer = Answer(error.status, dict(sorted(error.body.items())))
    simulator.commit()
    return respond(answer, headers)


def _authorized(request: Request, key_id: str) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token and not key_id:
        key_id, secret = token, token
    else:
        secret = request.headers.get("APCA-API-SECRET-KEY", "")
    if not key_id or not secret or key_id == "unauthorized":
        raise unauthorized()
    return key_id


def no_credentials(headers: dict[str, str]) -> Response:
    """Without any credentials the proxy in front answers, in HTML."""
    page = "<html><head><title>401 Authorization Required</title></head><body>401 Authorization Required</body></html>"
    return Response(page, 401, headers=headers, media_type="text/html")


def respond(answer: Answer, headers: dict[str, str]) -> Response:
    if answer.status == 204:
        return Response(status_code=204, headers=headers)
    content = json.dumps(answer.body, separators=(",", ":"))
    return Response(content, answer.status, headers=headers, media_type="application/json")
