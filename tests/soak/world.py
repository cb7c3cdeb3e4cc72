"""One installation on its first day: a database of its own, a venue of its own, and a process that may die."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from broker.budget import forget_budgets
from broker.errors import BrokerError
from broker.models import Account
from orders.errors import OrdersError
from reconciliation.errors import ReconciliationError
from tests.soak.exchange import KEY, Exchange, Wire, open_exchange
from tests.soak.process import Crash, Process, run_task
from tests.soak.virtual import TIME
from tradingsite.due_work import queue_due_work
from tradingsite.people import ensure_person

SYMBOLS = ("AAPL", "KO", "QCOM")
#: First mornings, most of them just before a clock change or a holiday.
MORNINGS = ("2026-03-05T13:50", "2026-10-29T12:50", "2026-03-06T14:20", "2026-11-24T14:00", "2026-06-17T13:20",
            "2026-03-07T14:20", "2026-10-31T13:20", "2026-10-30T19:40")  # fmt: skip


class Finding(AssertionError):
    """A promise that was not kept."""


class World:
    def __init__(self, folder: Path, seed: int, exchange: Exchange, process: Process) -> None:
        self.folder, self.seed, self.exchange, self.process = folder, seed, exchange, process
        self.follower: Any = None  # of the stream, with the number of its process
        self.has_acted = False  # since the evening began, something was sent to repair the day
        self.account = Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator", "environment": "sim"})[
            0
        ]

    @property
    def database(self) -> str:
        return str(self.folder / "story.sqlite3")

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the companies are called now: nobody trades a name that is gone."""
        return tuple(self.exchange.new_names.get(symbol, symbol) for symbol in SYMBOLS)

    def attempt(self, act: Callable[[], Any]) -> str:
        """Let the process do it; say what came between, or nothing. Unexpected errors are findings."""
        self.process.is_acting = True
        try:
            act()
            said = ""
        except Crash:
            is_seen = TIME.random.random() < 0.6
            self.process.start_again(is_seen_dead=is_seen)
            said = "the process dies and starts again" + ("" if is_seen else ", its leases are left behind")
        except (OperationalError, InterfaceError) as error:
            said = f"the database refuses: {error}"
        except (BrokerError, OrdersError, ReconciliationError) as error:
            said = f"refused: {error}"
        except Finding:
            raise
        except Exception as error:
            raise Finding(f"{type(error).__name__} where none may come: {error}") from error
        finally:
            self.process.is_acting = False
        if not self.process.is_dead and transaction.get_connection().in_atomic_block:
            raise Finding("A transaction was left open.")
        if self.process.faults_in_log:
            raise Finding(f"The program logged an error of its own: {self.process.faults_in_log[0]}")
        return said

    def work(self, random: Random, *, rounds: int, is_orderly: bool = False) -> list[str]:
        """The worker and its ticker, for so many looks; return what came between."""
        said = []
        for _ in range(rounds):
            said.append(self.attempt(lambda: queue_due_work(timezone.now())))
            for function, args in self.process.take_queue(random, is_orderly=is_orderly):
                if "charts" not in function:
                    said.append(self.attempt(partial(run_task, function, args)))
            TIME.advance(0.5)
        return [each for each in said if each]

    def read_afresh(self) -> Account:
        self.account = Account.objects.get(pk=self.account.pk)
        return self.account


def make_template(folder: Path) -> Path:
    """Migrate once; every story begins with a copy."""
    path = folder / "template.sqlite3"
    _use(path)
    call_command("migrate", verbosity=0)
    may = Permission.objects.get(codename="approve_broker_fix")
    for name in ("ops", "ops2", "admin"):
        person = ensure_person(username=name, group=name.rstrip("2"))
        if name != "admin":
            person.user_permissions.add(may)
    connections["default"].close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return path


def _use(path: Path) -> None:
    connections["default"].close()
    connections.settings["default"]["NAME"] = str(path)
    options = connections.settings["default"]["OPTIONS"]
    options["timeout"] = 0
    options["init_command"] = "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
    del connections["default"]


@contextmanager
def new_world(*, seed: int, folder: Path, template: Path, wire: Wire, process: Process) -> Iterator[World]:
    random = Random(f"world {seed}")
    TIME.begin(datetime.fromisoformat(random.choice(MORNINGS)).replace(tzinfo=UTC))
    TIME.random = Random(f"names {seed}")
    process.__init__()  # type: ignore[misc]
    for old in folder.glob("story.sqlite3*"):
        old.unlink()
    shutil.copy(template, folder / "story.sqlite3")
    _use(folder / "story.sqlite3")
    forget_budgets()
    with open_exchange(clock=random.choice(["open", "nyse", "nyse"]), seed=seed) as exchange:
        settings.ALPACA_BASE_URL, settings.ALPACA_DATA_URL = exchange.url, exchange.url
        settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = KEY, "sim"
        for symbol in SYMBOLS:
            exchange.act("price", symbol=symbol, price=str(Decimal(100)))
        process.watch_connection()
        wire.exchange, wire.before, wire.after = exchange, process.before_request, process.after_request
        try:
            yield World(folder, seed, exchange, process)
        finally:
            wire.exchange = None
            process.calm()
            process.unlock_database()
            TIME.market, TIME.tick = (lambda: None), (lambda: None)
            connections["default"].close()
            del connections["default"]
