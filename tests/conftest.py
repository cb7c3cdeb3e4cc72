"""What every test may use: a database in a file, a running simulator, an account there, and three people."""

import os
import sys
import uuid
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import LazySettings, settings

from broker.budget import forget_budgets
from broker.models import Account
from tests import migrated
from tests.databases import ABOUT_SQLITE, IS_ON_POSTGRESQL
from tests.flushing import let_a_flush_be_quick, let_the_journal_be_emptied
from tests.simulation import SimAccount, Simulator, running_simulator
from tradingsite.people import ADMIN, OPS, TRADER, ensure_person
from work.kept_connections import forget_kept_connections

PASSWORD = "correct horse 7"

# Hundreds of processes are started here. Where the machine forbids to keep what Python compiled, each would compile
# Django and the product anew: 1.1 s of CPU a start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        migrated.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        migrated.end()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Keep the test database in a file: threads and processes share it as they share the real one.

    It need not outlive a power cut, so it is not synced.
    """
    let_the_journal_be_emptied()
    let_a_flush_be_quick()
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        migrated.let_test_databases_be_migrated()
        database.setdefault("TEST", {})["NAME"] = str(Path(settings.DATA_DIR) / f"test-{worker}-{os.getpid()}.sqlite3")
        options = database["OPTIONS"]
        options["init_command"] = options["init_command"].replace("synchronous=FULL", "synchronous=OFF")


@pytest.fixture
def sqlite_only() -> None:
    """For a test that asks about SQLite itself: its plans, its pragmas, its file. All others hold on PostgreSQL too."""
    if IS_ON_POSTGRESQL:
        pytest.skip(ABOUT_SQLITE)


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The one simulator process of this test run's worker."""
    with running_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[SimAccount]:
    """A fresh account at the simulator: nobody else's orders, faults or requests are in it."""
    account = SimAccount(simulator, f"test-{uuid.uuid4().hex[:12]}")
    yield account
    account.reset()


@pytest.fixture
def sim_account(sim: SimAccount, settings: LazySettings, db: None) -> Account:
    """The default account `sim`, whose keys and address are those of `sim`."""
    import_module("broker.alpaca_gateway")  # lazy and slow: 20 s on a busy computer, within the first test's deadline
    settings.ALPACA_ENV = "sim"
    settings.ALPACA_BASE_URL, settings.ALPACA_STREAM_URL, settings.ALPACA_DATA_URL = sim.url, "", ""
    settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = sim.key_id, "sim"
    return Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator", "environment": "sim"})[0]


@pytest.fixture
def people(db: None) -> SimpleNamespace:
    """`people.trader`, `people.ops` and `people.admin`, each in the group of that name, with PASSWORD."""
    return SimpleNamespace(
        **{group: ensure_person(username=group, group=group, password=PASSWORD) for group in (TRADER, OPS, ADMIN)}
    )


@pytest.fixture(autouse=True)
def _own_budget() -> Iterator[None]:
    """Row ids come again after a rollback: what one test heard of its account says nothing of the next one's."""
    yield
    forget_budgets()


@pytest.fixture(autouse=True)
def _own_connections() -> Iterator[None]:
    """What a thread of one test left is not for the next one, which may want others."""
    yield
    forget_kept_connections()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[Any]:
    report = yield
    return _required(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[Any]:
    report = yield
    return _required(report)


#: Tests that wait for real processes come first, so that two workers end at about the same time.
LONGEST_FIRST = (
    "scenarios", "browser", "tradingsite", "hosts", "upkeep", "soak", "deploy", "orders", "security", "alerts",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


def _required(report: Any) -> Any:
    """With REQUIRE_ALL=1 nothing may be left out: a missing program is a failure there, not a reason to skip.

    On PostgreSQL a test that is about SQLite is left out; the run on SQLite has it.
    """
    is_about_sqlite = IS_ON_POSTGRESQL and ABOUT_SQLITE in str(report.longrepr)
    is_left_out = report.skipped and not is_about_sqlite and not hasattr(report, "wasxfail")
    if os.environ.get("REQUIRE_ALL") == "1" and is_left_out:
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1 allows no skip: {report.longrepr}"
    return report
