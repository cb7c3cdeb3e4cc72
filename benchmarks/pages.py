"""Pages over large books and over small ones, asked by eight clients at once: python -m benchmarks.pages

Two real web servers, one on each database, are asked in turn, so that what disturbs one disturbs the other. The list of
positions is asked for ten rows of both books: a page of fifty rows takes longer to write than one of ten.
"""

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benchmarks.databases import new_database
from benchmarks.rows import Figure, Scale, run_alone, say

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 8
GOAL, GOAL_OF_ONE = 1.5, 3.0
PAGES = {
    "overview": "/",
    "positions": "/positions/?rows=10",
    "orders": "/orders/",
    "reconciliation": "/reconciliation/",
}
EMPTY, FRAMED, FORGOTTEN = "/empty/", "/framed/", "/forgotten/"
START_SECONDS = 60.0
#: What the caches of a process need before they are full.
WARM_UP = 3


@dataclass(frozen=True)
class Site:
    port: int
    cookie: str

    def ask(self, path: str, times: int) -> list[float]:
        """Return how long each answer took, in ms, over one connection."""
        return self._ask([path] * times)

    def ask_anew(self, path: str) -> float:
        """Return how long the answer took of a process that has kept no part of it."""
        return self._ask([FORGOTTEN, path])[-1]

    def _ask(self, paths: list[str]) -> list[float]:
        taken = []
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for path in paths:
            start = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            answer.read()
            taken.append((time.perf_counter() - start) * 1000)
            if answer.status != http.client.OK:
                raise RuntimeError(f"{path} answered {answer.status}")
        connection.close()
        return taken

    def ask_together(self, path: str, times: int) -> list[float]:
        """What `CLIENTS` at once have waited."""
        taken: list[float] = []
        threads = [
            threading.Thread(target=lambda: taken.extend(self.ask(path, times)), daemon=True) for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(taken) != times * CLIENTS:
            raise RuntimeError(f"{path} was not always answered")
        return taken


@contextmanager
def site(folder: Path, name: str, orders: int, positions: int) -> Iterator[Site]:
    """A web server of its own on books of that size."""
    say(f"writing {orders:,} orders and {positions:,} positions")
    with new_database(folder, name) as address:
        data = folder / f"{name}-data"
        data.mkdir()
        environment = os.environ | {
            "DATABASE_URL": address, "DATA_DIR": str(data), "ALPACA_ENV": "sim", "SECRET_KEY": secrets.token_hex(32),
            "DJANGO_SETTINGS_MODULE": "benchmarks.page_settings", "ALPACA_BASE_URL": "http://127.0.0.1:9",
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        fill = [sys.executable, "-m", "benchmarks.books", str(orders), str(positions)]
        filled = subprocess.run(fill, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        command = [sys.executable, str(ROOT / "manage.py"), "web", "--port", "0"]
        log = folder / f"{name}.log"
        with log.open("w") as written:
            server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=written, stderr=written)
        try:
            yield Site(_port(server, log), filled.stdout.split()[-1])
        finally:
            server.terminate()
            server.wait(30)


def _port(server: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if line.startswith("web: http://"):
                return int(line.rstrip("/").rpartition(":")[2])
        time.sleep(0.05)
    raise RuntimeError(f"the web server did not start: {log.read_text()[-500:]}")


def measure(scale: Scale) -> list[Figure]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        few = stack.enter_context(site(folder, "few", max(scale.few_orders // 10, 100), scale.few_positions))
        many = stack.enter_context(site(folder, "many", scale.orders, scale.positions))
        found = [figure for name, path in PAGES.items() for figure in _compared(scale, name, path, few, many)]
        return [*found, *_one_page(scale, many)]


def _compared(scale: Scale, name: str, path: str, few: Site, many: Site) -> Iterator[Figure]:
    say(f"page {name}")
    taken: dict[Site, list[float]] = {few: [], many: []}
    times = 1 if scale.is_quick else WARM_UP
    for number in range(scale.repetitions + 1):
        for asked, waited in taken.items():
            answers = asked.ask_together(path, times)
            waited.extend(answers if number else [])
    for word, part in (("p50", median), ("p95", _p95)):
        yield Figure(
            row="pages",
            what=f"{name}, {word}, {scale.orders:,} orders and {scale.positions:,} positions, {CLIENTS} clients",
            value=part(taken[many]),
            unit="ms",
            goal=GOAL,
            bound=part(taken[few]),
            bound_what=f"{max(scale.few_orders // 10, 100):,} orders and {scale.few_positions:,} positions",
        )


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _one_page(scale: Scale, asked: Site) -> Iterator[Figure]:
    """One client, one page after the other.

    No page of the product comes without its frame, so each is held against an empty page in it; what the frame itself
    takes is a figure of its own, against an empty page behind the same log-in and middleware. Pages are asked for every
    five seconds by each open browser, so they are measured as they are then; how long each takes a process that has not
    shown it yet is told beside it.
    """
    taken: dict[str, list[float]] = {path: [] for path in (*PAGES.values(), EMPTY, FRAMED)}
    for number in range(scale.repetitions + 1):
        for path, waited in taken.items():
            answers = asked.ask(path, 1 if scale.is_quick else WARM_UP)
            waited.extend(answers if number else [])
    anew = {path: median(asked.ask_anew(path) for _ in range(scale.repetitions)) for path in PAGES.values()}
    empty, framed = median(taken[EMPTY]), median(taken[FRAMED])
    yield Figure(
        row="one page", what="the frame alone, p50", value=framed, unit="ms", goal=GOAL_OF_ONE, bound=empty,
        bound_what="an empty authenticated page",
    )  # fmt: skip
    for name, path in PAGES.items():
        value = median(taken[path])
        yield Figure(
            row="one page", what=f"{name}, p50", value=value, unit="ms", goal=GOAL_OF_ONE, bound=framed,
            bound_what="an empty one in the frame",
            note=f"{value / empty:.1f} times the empty page; shown for the first time {anew[path]:.0f} ms",
        )  # fmt: skip


if __name__ == "__main__":
    run_alone(measure)
