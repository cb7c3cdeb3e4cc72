"""The real simulator over real HTTP, moved by the story's clock; and what tests make happen there."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import PreparedRequest
from requests.adapters import HTTPAdapter

from alpacasim import fault_layer, server
from alpacasim.accounts import Account
from alpacasim.actions import ACTIONS
from alpacasim.errors import VenueError
from alpacasim.orders import Order
from alpacasim.routes import orders as order_routes
from alpacasim.simulator import Simulator
from alpacasim.venue import Event
from tests.soak.virtual import SECOND, TIME, let_finish, replace, sleep_in_the_story

KEY = "sim"
#: Faults under which the client gives up waiting. What that costs in the story, and how long the test really waits.
_NO_ANSWER = {"hang", "delay_answer", "delay_accept"}
_PATIENCE, _REAL_PATIENCE, _REAL_LIMIT = 10.0, 0.06, 60.0


class Exchange:
    """The venue as the story sees it: past HTTP, while no request is under way."""

    def __init__(self, running: server.Running, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.simulator, self.loop = running.url, running.simulator, loop
        clock = self.simulator.venue.clock
        clock._host = lambda: TIME.nanos
        self.simulator.venue.scheduler.now = lambda: TIME.elapsed
        self.simulator.limits._wall = lambda: TIME.seconds
        TIME.market, TIME.tick = self._run_due, self.simulator.tick
        self.unentered = Decimal(0)  # cash that came without an entry
        self.new_names: dict[str, str] = {}
        self.frames: list[str] = []  # what the stream has to tell
        replace(self.simulator.hub, "publish", self._hear)
        self.sent_twice: list[str] = []
        self._first_sent: dict[str, float] = {}

    def _hear(self, event: Event) -> None:
        self.frames = [*self.frames[-199:], json.dumps(event.data)]

    def _run_due(self) -> float | None:
        self.simulator.run_due()
        return self.simulator.venue.scheduler.next_due()

    @property
    def account(self) -> Account:
        return self.simulator.venue.account(KEY)

    @property
    def orders(self) -> list[Order]:
        return list(self.account.orders.values())

    def working(self) -> list[Order]:
        return [order for order in self.account.live.values() if order.is_open]

    def holdings(self) -> dict[str, Decimal]:
        return {symbol: each.qty for symbol, each in sorted(self.account.positions.items()) if each.qty}

    def activities(self, *, fills: bool) -> list[dict[str, Any]]:
        rows = self.simulator.venue.account(KEY).activities.select()
        return [row.body for row in rows if (row.body["activity_type"] == "FILL") == fills]

    def executions(self) -> list[dict[str, Any]]:
        """Those that were not taken back: Alpaca takes nothing back twice."""
        rows = self.activities(fills=True)
        gone = Counter(
            (r["order_id"], r["price"], r["qty"].removeprefix("-")) for r in rows if r["qty"].startswith("-")
        )
        standing = []
        for row in rows:
            name = (row["order_id"], row["price"], row["qty"])
            if gone[name]:
                gone[name] -= 1
            elif not row["qty"].startswith("-"):
                standing.append(row)
        return standing

    def act(self, name: str, **document: Any) -> str:
        """Do it, or say why the venue refuses."""
        try:
            ACTIONS[name](self.simulator, document)
        except (VenueError, ValueError) as error:
            return f"refused: {error}"
        finally:
            self.simulator.commit()
        return ""

    def cancel(self, order: Order) -> str:
        try:
            order_routes.check_cancelable(order)
            self.simulator.execution.cancel(self.account, order)
        except VenueError as error:
            return f"refused: {error}"
        finally:
            self.simulator.commit()
        return ""

    def replace(self, order: Order, **changes: str) -> str:
        from alpacasim.entry import replace_order

        venue, execution = self.simulator.venue, self.simulator.execution
        try:
            replace_order(venue, execution, self.account, order, changes)
        except VenueError as error:
            return f"refused: {error}"
        finally:
            self.simulator.commit()
        return ""

    def requests(self) -> list[dict[str, Any]]:
        return list(self.simulator.faults.requests)

    def note_post(self, request: PreparedRequest) -> None:
        """Remember a POST of an order that Alpaca had already, unless it had come there long after its own POST."""
        if request.method != "POST" or not request.body:
            return
        name = str(json.loads(request.body).get("client_order_id"))
        first = self._first_sent.setdefault(name, TIME.seconds)
        order = self.account.find_by_client_order_id(name)
        if order is not None and order.created_at / SECOND - first < _PATIENCE:
            self.sent_twice.append(name)

    def gives_no_answer(self, method: str, path: str) -> bool:
        subject: dict[str, Any] = {
            "method": method,
            "path": path,
            "key_id": KEY,
            "symbol": frozenset(),
            "client_order_id": None,
        }
        return any(
            fault.kind in _NO_ANSWER and not fault.spent and fault.meets(subject) and fault.seen >= fault.after
            for fault in self.simulator.faults.all()
        )


@contextmanager
def open_exchange(*, clock: str, seed: int) -> Iterator[Exchange]:
    """Serve a fresh venue; its time stands still unless the story moves it."""
    found: list[asyncio.AbstractEventLoop] = []

    async def stand_still(simulator: Simulator) -> None:
        found.append(asyncio.get_running_loop())
        await asyncio.Event().wait()

    replace(server, "drive", stand_still)
    replace(fault_layer, "asyncio", _Sleeper)
    with server.run_in_thread(clock=clock, seed=seed, rate_limit=200) as running:
        requests.get(f"{running.url}/_sim/faults", timeout=30)  # the server is up, and so is its loop
        yield Exchange(running, found[0])


class _Sleeper:
    sleep = staticmethod(sleep_in_the_story)


class Wire:
    """Every request of the product passes here: it takes a moment, and the process may die before or after it."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.before: Any = lambda: None
        self.after: Any = lambda: None
        real = HTTPAdapter.send

        def send(adapter: HTTPAdapter, request: PreparedRequest, *args: Any, **options: Any) -> Any:
            exchange = self.exchange
            if exchange is None:
                return real(adapter, request, *args, **options)
            TIME.advance(TIME.random.choice([0.001, 0.002, 0.002, 0.005, 0.04]))
            self.before()
            exchange.note_post(request)
            is_deaf = exchange.gives_no_answer(str(request.method), urlsplit(str(request.url)).path)
            options["timeout"] = (_REAL_LIMIT, _REAL_PATIENCE if is_deaf else _REAL_LIMIT)
            try:
                response = real(adapter, request, *args, **options)
            except requests.Timeout:
                let_finish(exchange.loop)
                TIME.advance(_PATIENCE)
                raise
            finally:
                let_finish(exchange.loop)
            self.after()
            return response

        replace(HTTPAdapter, "send", send)
