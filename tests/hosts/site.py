"""One installation on several machines: its database, its accounts at Alpaca, its web servers and its workers."""

import os
import re
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.conftest import PASSWORD
from tests.databases import ask
from tests.hosts.machines import Machine
from tests.simulation import SimAccount, Simulator
from tests.tradingsite.installation import MANAGE
from tests.tradingsite.waiting import wait_for

#: The first is the default account, whose variables have no name in front.
ACCOUNTS = ("sim", "swing", "income")
SET_UP = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from broker.accounts import default_account
from broker.models import Account
from tradingsite.people import OPS, ensure_person
ensure_person(username="ops", group=OPS, password={password!r})
default_account()
for slug in {others!r}:
    Account.objects.create(slug=slug, name=slug.title(), environment="sim")
"""


class Site:
    def __init__(self, database: str, simulator: Simulator, folder: Path, **environment: str) -> None:
        self.database, self.folder = database, folder
        self.simulator = simulator
        self.accounts = {slug: SimAccount(simulator, f"{slug}-{uuid.uuid4().hex[:12]}") for slug in ACCOUNTS}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ALPACA", "DJANGO"))}
        self.environment = {
            **clean,
            "DATABASE_URL": database,
            "SECRET_KEY": "the same key on every host of the installation, as it must be",
            "DJANGO_SETTINGS_MODULE": "tests.hosts.host_settings",
            "DATA_DIR": str(folder / "here"),
            "PYTHONUNBUFFERED": "1",
            "ALLOWED_HOSTS": "*",
            "ALPACA_ENV": "sim",
            "Q_WORKERS": "3",
            **{self._key_name(slug): account.key_id for slug, account in self.accounts.items()},
            **environment,
        }

    @staticmethod
    def _key_name(slug: str) -> str:
        return "ALPACA_API_KEY" if slug == ACCOUNTS[0] else f"{slug.upper()}_ALPACA_API_KEY"

    def set_up(self) -> None:
        self.manage("shell", "-v", "0", "-c", SET_UP.format(password=PASSWORD, others=ACCOUNTS[1:]))

    def manage(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [*MANAGE, *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return ask(self.database, sql, *values)

    def number(self, sql: str, *values: Any) -> int:
        return int(self.query(sql, *values)[0][0])


class Host:
    """The product on one machine."""

    def __init__(self, site: Site, machine: Machine, **environment: str) -> None:
        self.site, self.machine, self.name = site, machine, machine.name
        port = int(site.database.rsplit(":", 1)[1].partition("/")[0])
        database = re.sub(r"@[^/]+/", f"@{machine.database_at(port)}/", site.database)
        self.environment = {
            **site.environment,
            "DATABASE_URL": database,
            "DATA_DIR": str(site.folder / machine.name),
            "ALPACA_BASE_URL": f"http://{machine.alpaca_at(int(site.simulator.url.rsplit(':', 1)[1]))}",
            **environment,
        }
        self.log = site.folder / f"{machine.name}.log"
        self._web: Web | None = None

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return self.machine.start([*MANAGE, *arguments], environment=self.environment, log=log)

    def printed(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start_web(self) -> None:
        self.start("web", "--port", "0", "--workers", "1")

    @property
    def web(self) -> "Web":
        """Once it has said where it listens."""
        if self._web is None:
            said = wait_for(
                lambda: re.search(r"web: http://127\.0\.0\.1:(\d+)/", self.printed()), within=60, what="the web server"
            )
            self._web = Web(self.machine.publish(int(said[1])))
        return self._web

    def executions(self) -> list[str]:
        """The batches that only this host may go on with: its lease, and something left to send or to know."""
        left = "SELECT 1 FROM orders_order o WHERE 'execute:' || o.batch_id = l.name AND submission_state IN (?, ?)"
        sql = f"SELECT l.name FROM work_lease l WHERE l.holder LIKE ? AND EXISTS ({left})"
        return [name for (name,) in self.site.query(sql, f"{self.name}:%", "recorded", "submitting")]

    def claims(self) -> list[str]:
        """The orders that a process of this host has claimed and whose answer is not written down."""
        sql = "SELECT client_order_id FROM orders_order WHERE submission_state = 'submitting' AND claimed_by LIKE ?"
        return [name for (name,) in self.site.query(sql, f"{self.name}:%")]


class Web:
    """A person's browser at one of the web servers. The session is good at all of them."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = requests.Session()
        self.http.trust_env = False

    def _get(self, path: str) -> requests.Response:
        answer = self.http.get(self.base + path, timeout=40)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer

    def post(self, path: str, **options: Any) -> requests.Response:
        token = self.http.cookies["csrftoken"]
        headers = {"X-CSRFToken": token, "Referer": self.base}
        answer = self.http.post(self.base + path, headers=headers, timeout=40, **options)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer

    def log_in(self) -> None:
        def is_there() -> bool:
            try:
                return bool(self._get("/accounts/login/"))
            except (requests.ConnectionError, AssertionError):
                return False

        wait_for(is_there, within=60, what=f"the pages at {self.base}")
        answer = self.post("/accounts/login/", data={"username": "ops", "password": PASSWORD})
        assert not answer.url.endswith("/login/"), answer.text

    def share_session(self, other: "Web") -> None:
        """The same person, whom nginx leads to another web server."""
        for cookie in other.http.cookies:
            self.http.cookies.set(str(cookie.name), str(cookie.value), domain=urlsplit(self.base).hostname)

    def upload(self, account: str, lines: Sequence[str]) -> str:
        """Return the previewed file, as the page carries it."""
        data = "symbol,side,qty\n" + "".join(f"{line}\n" for line in lines)
        answer = self.post(f"/batches/new/?account={account}", files={"file": (f"{uuid.uuid4().hex}.csv", data)})
        found = re.search(r'name="file" value="([^"]+)"', answer.text)
        assert found, answer.text
        return found[1]

    def confirm(self, account: str, previewed: str) -> int:
        """Record and release the file; return the batch's number."""
        answer = self.post("/batches/confirm/", data={"account": account, "file": previewed, "when": "now"})
        found = re.search(r"/batches/(\d+)/$", answer.url)
        assert found, answer.text
        return int(found[1])

    def reconcile(self, account: str) -> None:
        self.post("/reconciliation/start/", data={"account": account})
