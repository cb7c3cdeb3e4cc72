"""Importing the SDK leaves pandas out, and takes nothing away from whoever wants pandas."""

import subprocess
import sys

import pytest

from tests.simulation import ROOT


def told_by(program: str) -> list[str]:
    """What a fresh interpreter prints: in this one pandas may be loaded already."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_process_that_trades_has_no_pandas() -> None:
    assert told_by(
        "import sys, broker.alpaca_client\n"
        "print(*[name in sys.modules for name in ('alpaca.trading.requests', 'pandas', 'numpy')])"
    ) == ["True", "False", "False"]


@pytest.mark.parametrize("until", ["2025-03-01", "2025-06-01"])
def test_what_the_sdk_wanted_pandas_for_still_works(until: str) -> None:
    refused = until == "2025-06-01"
    assert told_by(
        "import sys, broker.alpaca_client\n"
        "from alpaca.trading.requests import GetCorporateAnnouncementsRequest as Request\n"
        "try:\n"
        f"    Request(ca_types=['split'], since='2025-01-01', until='{until}')\n"
        "except ValueError as error:\n"
        "    print('90 days' in str(error))\n"
        "print('pandas' in sys.modules)"
    ) == (["True"] if refused else []) + ["True"]


def test_afterwards_pandas_is_pandas() -> None:
    assert told_by("import broker.alpaca_client, pandas\nprint(pandas.DataFrame().empty)") == ["True"]


def test_pandas_that_is_loaded_already_is_left_alone() -> None:
    assert told_by(
        "import sys, pandas, broker.alpaca_client, alpaca.trading.requests as requests\n"
        "print(requests.pd is pandas, sys.modules['pandas'] is pandas)"
    ) == ["True", "True"]
