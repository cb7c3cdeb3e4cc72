"""The product as one process that can die at any statement, be kept from its database, and start again.

Its worker is here: what `queue_due_work` finds is run in an order drawn from the seed, sometimes twice, sometimes
not at all.
"""

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from random import Random
from types import SimpleNamespace
from typing import Any

from tests.soak.virtual import TIME, replace

#: Answers that are no defect: the database delays work, people and brokers refuse.
_LOCKED = "database is locked"


class Crash(BaseException):
    """The process dies here. Whatever it still tries, it gets nothing done."""


class Process:
    """One incarnation after another of the same installation."""

    def __init__(self) -> None:
        self.number = 0
        self.buried: set[str] = set()
        self.queue: list[tuple[str, tuple[Any, ...]]] = []
        self.faults_in_log: list[str] = []
        self._lock: sqlite3.Connection | None = None
        self.calm()

    def calm(self) -> None:
        """Nothing is about to happen to it."""
        self.is_dead = self.is_acting = False
        self._statements = self._errors = self._requests = 0
        self._is_after = False
        self._point = ""

    @property
    def holder(self) -> str:
        return f"soak:{self.number}"

    # What may be about to happen

    def die_at_statement(self, number: int, *, after: bool) -> None:
        self._statements, self._is_after = number, after

    def die_at_request(self, number: int, *, after: bool) -> None:
        self._requests, self._is_after = number, after

    def die_at_point(self, point: str) -> None:
        self._point = point

    def fail_at_statement(self, number: int) -> None:
        self._errors = number

    def lock_database(self, path: str, seconds: float) -> None:
        """Another program holds the write lock, for so long."""
        self.unlock_database()
        self._lock = sqlite3.connect(path, timeout=5, isolation_level=None)
        self._lock.execute("BEGIN IMMEDIATE")
        TIME.at(seconds, self.unlock_database)

    def unlock_database(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # Where it happens

    def die(self) -> None:
        self.is_dead = True
        raise Crash

    def at_statement(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        from django.db import OperationalError

        if self.is_dead:
            raise Crash
        if not self.is_acting:  # the story itself looks
            return execute(sql, params, many, context)
        if self._errors:
            self._errors -= 1
            if not self._errors:
                raise OperationalError("disk I/O error")
        is_last = self._counts_down()
        if is_last and not self._is_after:
            self.die()
        result = execute(sql, params, many, context)
        if is_last:
            self.die()
        return result

    def at_commit(self, commit: Callable[[], None]) -> None:
        if self.is_dead:
            raise Crash
        is_last = self._counts_down()
        if is_last and not self._is_after:
            self.die()
        commit()
        if is_last:
            self.die()

    def _counts_down(self) -> bool:
        if not self._statements or not self.is_acting:
            return False
        self._statements -= 1
        return not self._statements

    def before_request(self) -> None:
        if self.is_dead:
            raise Crash
        if self._requests and not self._is_after:
            self._requests -= 1
            if not self._requests:
                self.die()

    def after_request(self) -> None:
        if self._requests and self._is_after:
            self._requests -= 1
            if not self._requests:
                self.die()

    def at_point(self, _pid: int, _signal: int) -> None:
        self._point = ""
        self.die()

    @property
    def point(self) -> dict[str, str]:
        return {"CRASH_POINT": self._point} if self._point else {}

    # Life

    def start_again(self, *, is_seen_dead: bool) -> None:
        """A new process. The leases of the old one lapse by time, or at once where its end can be seen."""
        from django.db import connections

        from broker.budget import forget_budgets

        # A killed process loses its transaction with its connection. Here a cursor that nobody has swept up yet keeps
        # the closed connection half alive, and with it the write lock.
        if (raw := connections["default"].connection) is not None:
            raw.rollback()
        connections["default"].close()
        del connections["default"]
        if is_seen_dead:
            self.buried.add(self.holder)
        self.number += 1
        self.calm()
        self.watch_connection()
        forget_budgets()

    def watch_connection(self) -> None:
        from django.db import connections

        connections["default"].execute_wrappers.append(self.at_statement)

    def enqueue(self, function: str, *args: Any, **_options: Any) -> None:
        self.queue.append((function, args))

    def take_queue(self, random: Random, *, is_orderly: bool) -> list[tuple[str, tuple[Any, ...]]]:
        tasks, self.queue = self.queue, []
        if is_orderly:
            return tasks
        random.shuffle(tasks)
        delivered = []
        for task in tasks:
            delivered += [task] * random.choices([0, 1, 2], [1, 12, 2])[0]
        return delivered


def run_task(function: str, args: tuple[Any, ...]) -> None:
    module, _, name = function.rpartition(".")
    getattr(import_module(module), name)(*args)


class InlinePool:
    """Sends in the story's own thread, so that a seed is a course of events."""

    def __init__(self, **_options: Any) -> None: ...

    def __enter__(self) -> "InlinePool":
        return self

    def __exit__(self, *_error: object) -> None: ...

    def submit(self, work: Callable[..., Any], *args: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class ErrorsInTheLog(logging.Handler):
    """A program that swallows its own faults still logs them: they are findings, too."""

    def __init__(self, process: Process) -> None:
        super().__init__(logging.ERROR)
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        from django.db import InterfaceError, OperationalError

        from broker.errors import BrokerError
        from orders.errors import OrdersError
        from reconciliation.errors import ReconciliationError

        expected = (OperationalError, InterfaceError, BrokerError, OrdersError, ReconciliationError)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, expected):
            self._process.faults_in_log.append(f"{record.getMessage()}: {type(error).__name__}: {error}")


def rewire(process: Process) -> None:
    """Put the process between the product and the world, once, before the product is imported."""
    import work.holders

    replace(work.holders, "this_process", lambda: process.holder)
    replace(work.holders, "is_gone", lambda holder: holder in process.buried)


def rewire_loaded(process: Process) -> None:
    """The same for what needs Django set up."""
    import django.db.backends.sqlite3.base as sqlite
    from django.db.backends.base.base import BaseDatabaseWrapper

    import orders.crash_points
    import orders.sending
    import work.queue

    real_commit: Callable[[Any], None] = vars(BaseDatabaseWrapper)["_commit"]

    def commit(wrapper: Any) -> Any:
        return process.at_commit(lambda: real_commit(wrapper))

    replace(sqlite.DatabaseWrapper, "_commit", commit)
    replace(work.queue, "async_task", process.enqueue)
    replace(orders.sending, "ThreadPoolExecutor", InlinePool)
    replace(orders.sending, "wait", lambda futures, timeout: SimpleNamespace(not_done=set()))
    replace(orders.crash_points, "os", _Host(process))
    root = logging.getLogger()
    for logger in (root, *map(logging.getLogger, ("broker", "orders", "positions", "reconciliation", "tradingsite"))):
        logger.handlers = []
        logger.setLevel(logging.ERROR)
    root.addHandler(ErrorsInTheLog(process))


class _Host:
    """What crash_points knows of the operating system."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.kill = process.at_point
        self.getpid = lambda: 0

    @property
    def environ(self) -> dict[str, str]:
        return self._process.point
