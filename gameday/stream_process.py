"""The process that follows the stream, as the product runs it: it can be killed and started again. Needs Django."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.utils import timezone

from broker.models import Account
from gameday.demo import ROOT, STOP_SECONDS
from gameday.listening import PATIENCE, is_live, kill_follower
from gameday.venue import until
from work import leases


class StreamProcess:
    """A demo starts its own process again, with more patience than a story has: whichever is first follows."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        if leases.is_free(f"stream:{self._account.pk}", now=timezone.now()):
            command = [sys.executable, str(ROOT / "manage.py"), "stream", "--account", self._account.slug]
            quiet = subprocess.DEVNULL
            self._started.append(subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=quiet, stderr=quiet))

    def kill(self) -> None:
        """No signal that it could act on: it dies in the middle of whatever it does."""
        if not kill_follower(self._account):
            raise TimeoutError("nobody follows the stream, so nobody could be killed")
        for process in self._started:
            process.kill()
            process.wait(STOP_SECONDS)

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.terminate()
            process.wait(STOP_SECONDS)


@contextmanager
def stream_process(account: Account) -> Iterator[StreamProcess]:
    process = StreamProcess(account)
    try:
        process.start()
        until(lambda: is_live(account), "a live stream", seconds=PATIENCE)
        yield process
    finally:
        process.end()


def _environment() -> dict[str, str]:
    """What a process needs to work on the same rows and the same account as this one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DJANGO"))}
    return inherited | {
        "DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": _address(),
        "ALPACA_ENV": settings.ALPACA_ENV,
        "ALPACA_BASE_URL": settings.ALPACA_BASE_URL,
        "ALPACA_API_KEY": settings.ALPACA_API_KEY,
        "ALPACA_SECRET_KEY": settings.ALPACA_SECRET_KEY,
    }


def _address() -> str:
    used = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{used['NAME']}"
    login = f"{quote(used['USER'])}:{quote(used['PASSWORD'])}@" if used["USER"] else ""
    return f"postgres://{login}{used['HOST']}:{used['PORT']}/{used['NAME']}"
