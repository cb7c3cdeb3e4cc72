"""`manage.py check_broker`."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from broker.models import Account
from tests.simulation import ROOT, SimAccount


def check(**options: Any) -> str:
    out = io.StringIO()
    call_command("check_broker", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def busy(sim: SimAccount, sim_account: Account) -> SimAccount:
    bought = sim.manual_order(symbol="AAPL", side="buy", qty="3")
    sim.wait_for_status(bought["client_order_id"], "filled")
    sim.manual_order(symbol="MSFT", side="buy", qty="2", type="limit", limit_price="1.5")
    return sim


def test_people_see_account_clock_orders_and_positions(busy: SimAccount) -> None:
    text = check()
    assert "ACTIVE" in text
    assert "market is open" in text
    assert "1 open orders\n  buy 2 MSFT limit limit $1.5" in text
    assert "1 positions\n  AAPL 3 at $" in text


def test_programs_get_what_alpaca_gave(busy: SimAccount) -> None:
    document = json.loads(check(json=True))
    assert (document["account"], document["environment"], document["url"]) == ("sim", "sim", busy.url)
    assert document["broker_account"] == busy.api("GET", "/v2/account")
    assert [o["symbol"] for o in document["open_orders"]] == ["MSFT"]
    assert document["positions"][0]["qty"] == "3"
    assert document["clock"]["is_open"] is True
    assert document["api_calls"] >= 4


def refused(**options: Any) -> str:
    with pytest.raises(CommandError) as caught:
        check(**options)
    assert caught.value.returncode == 2
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_an_unknown_account_is_named(sim_account: Account) -> None:
    assert refused(account="nope") == "There is no account 'nope'. There are: sim."


def test_wrong_keys_are_named(sim_account: Account, settings: LazySettings) -> None:
    settings.ALPACA_API_KEY = "unauthorized"
    assert "key pair" in refused()


def test_missing_keys_are_named(sim_account: Account, settings: LazySettings) -> None:
    settings.ALPACA_ENV, settings.ALPACA_API_KEY, settings.ALPACA_SECRET_KEY = "paper", "", ""
    assert "set ALPACA_API_KEY" in refused()


def test_a_broker_that_cannot_be_reached_is_named(sim_account: Account, settings: LazySettings) -> None:
    settings.ALPACA_BASE_URL = "http://127.0.0.1:1"
    assert "No connection to Alpaca" in refused(json=True)


def test_a_list_that_was_cut_short_is_no_answer(busy: SimAccount) -> None:
    busy.fault("empty_list", "GET", "/v2/orders")
    assert "cut short" in refused()


def test_a_program_of_its_own_imports_no_page(busy: SimAccount, tmp_path: Path) -> None:
    environment = os.environ | {
        "DATA_DIR": str(tmp_path), "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "ALPACA_ENV": "sim",
        "ALPACA_BASE_URL": busy.url,
    }  # fmt: skip
    program = (
        "import sys, django\n"
        "django.setup()\n"
        "from django.core.management import execute_from_command_line as run\n"
        "run(['manage.py', 'migrate', '-v', '0', '--skip-checks'])\n"
        "run(['manage.py', 'check_broker', '--json'])\n"
        "sys.stderr.write(' '.join(n for n in sys.modules if n.endswith('.urls') or n.endswith('.views')))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["account"] == "sim"
    assert not [name for name in done.stderr.split() if not name.startswith("django.")]
