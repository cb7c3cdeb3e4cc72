"""docs/observability.md names what there is, and nothing else."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from tradingsite.metrics import exposition
from work import lock_waits

GUIDE = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
#: The other kind of database's.
ELSEWHERE = {"postgresql": {"lock_waits_total", "lock_wait_seconds_total"}, "sqlite": {"lock_waiting"}}

pytestmark = pytest.mark.django_db


def named() -> set[str]:
    text = exposition(datetime(2026, 3, 5, 15, 0, tzinfo=UTC)).decode()
    return {
        family.name.removeprefix("tradingsite_") + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }


def test_each_figure_is_explained_and_no_other():
    figures = GUIDE[GUIDE.index("## Figures") : GUIDE.index("## Logs")]
    first_cells = re.findall(r"^\| (`[^|]+`) \|", figures, re.MULTILINE)
    explained = {name for cell in first_cells for name in re.findall(r"`([a-z_]+)`", cell)}
    assert explained == named() | ELSEWHERE[connection.vendor]


def test_the_rules_ask_for_figures_that_there_are():
    asked = set(re.findall(r"\btradingsite_([a-z_]+)", GUIDE[GUIDE.index("```yaml") : GUIDE.index("## Logs")]))
    assert len(asked) == 5
    assert asked <= named() | ELSEWHERE[connection.vendor]


def test_waits_for_the_lock_are_told(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    lock_waits.note(0.25)
    lock_waits.note(0.5)
    text = exposition(datetime(2026, 3, 5, 15, 0, tzinfo=UTC)).decode()
    told = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    if connection.vendor == "sqlite":
        assert told["tradingsite_lock_waits_total"] == 2.0
        assert told["tradingsite_lock_wait_seconds_total"] == 0.75
    else:
        assert told["tradingsite_lock_waiting"] == 0.0
