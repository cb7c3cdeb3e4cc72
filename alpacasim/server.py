"""The ASGI application, and the two ways to serve it: as a process, and in a thread for tests."""

import asyncio
import contextlib
import itertools
import json
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import scenario, stream
from .fault_layer import TRANSPORT, FaultLayer
from .routes import account, activities, control, market, market_data, orders, portfolio, positions
from .simulator import Simulator

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TICK_SECONDS = 0.25

logger = logging.getLogger(__name__)


# uvicorn's types are not followed in this project, so its class is untyped here.
class Protocol(H11Protocol):  # type: ignore[misc]
    """Lets a scripted fault reach the connection itself, to close it under an answer."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)


def create_app(simulator: Simulator) -> ASGIApp:
    async def trade_updates(websocket: WebSocket) -> None:
        await stream.serve(websocket, simulator.hub)

    app = Starlette(
        routes=[
            *account.ROUTES, *activities.ROUTES, *portfolio.ROUTES, *market.ROUTES, *market_data.ROUTES,
            *orders.ROUTES, *positions.ROUTES, *control.ROUTES, WebSocketRoute("/stream", trade_updates),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
        lifespan=_lifespan(simulator),
    )  # fmt: skip
    app.state.simulator = simulator
    return FaultLayer(app, simulator)


async def _not_found(request: Request, error: Exception) -> Response:
    content = json.dumps({"code": 40410000, "message": "endpoint not found"})
    return Response(content, 404, media_type="application/json")


def _lifespan(simulator: Simulator) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        driver = asyncio.create_task(drive(simulator))
        try:
            yield
        finally:
            driver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await driver
            simulator.commit()
            simulator.store.close()

    return lifespan


async def drive(simulator: Simulator) -> None:
    """Runs steps when they fall due, and lets the market move at every tick."""
    added = asyncio.Event()
    scheduler = simulator.venue.scheduler
    scheduler.on_add = added.set
    next_tick = scheduler.now() + TICK_SECONDS
    while True:
        due = min(scheduler.next_due() or next_tick, next_tick)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(added.wait(), max(due - scheduler.now(), 0))
        added.clear()
        try:
            simulator.run_due()
            if scheduler.now() >= next_tick:
                next_tick = scheduler.now() + TICK_SECONDS
                simulator.tick()
        except Exception:
            # A full disk, say: the market must not stand still for ever because of one bad moment.
            logger.exception("the simulator could not take a step")


def bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio switches off Nagle's delay: an answer costs 1 ms, not 40.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


# Untyped for the same reason as the protocol above.
class Server(uvicorn.Server):  # type: ignore[misc]
    """Ends cleanly on a signal, and says when it is ready."""

    on_started: Callable[[], None] | None = None
    _loop: asyncio.AbstractEventLoop
    _ended: asyncio.Event | None = None

    def stop(self) -> None:
        """Ends the server from another thread, without waiting for the next look at the flag."""
        self.should_exit = True
        if self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)

    async def main_loop(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        for tick in itertools.count():
            if await self.on_tick(tick % 864_000):
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), 0.1)

    def heed_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone; uvicorn's own would raise them again and make the exit status 143."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.on_started is not None:
            self.on_started()


def make_server(simulator: Simulator) -> Server:
    config = uvicorn.Config(
        create_app(simulator), http=Protocol, ws="websockets-sansio", log_config=None, access_log=False,
        timeout_graceful_shutdown=1, lifespan="on", ws_ping_interval=None,
    )  # fmt: skip
    return Server(config)


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    stream_url: str
    simulator: Simulator


@contextlib.contextmanager
def run_in_thread(*, scenario_document: dict[str, Any] | None = None, **options: Any) -> Iterator[Running]:
    """Serves real HTTP on a free loopback port until the block ends; options as of `Simulator`."""
    simulator = Simulator(**options)
    if scenario_document is not None and not simulator.restored:
        scenario.load(simulator, scenario_document)
    listener = bind("127.0.0.1", 0)
    server = make_server(simulator)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="alpacasim", daemon=True)
    # The listener queues connections from here on: nobody needs to wait for the thread.
    listener.listen()
    thread.start()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield Running(f"http://{address}", f"ws://{address}/stream", simulator)
    finally:
        server.stop()
        thread.join(timeout=10)
        listener.close()
