"""Nonsense in the environment is refused by the variable's name, never guessed at and never a traceback."""

from pathlib import Path

import pytest

from tests.tradingsite.installation import Installation


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ALPACA_ENV", "foo", "live, paper, sim"),
        ("ALPACA_ALLOW_LIVE", "maybe", "1 or 0"),
        ("DEBUG", "maybe", "1 or 0"),
        ("Q_WORKERS", "many", "a whole number from 1"),
        ("SETTLING_DELAY_SECONDS", "soon", "a number from 0"),
        ("LOG_LEVEL", "loud", "WARNING"),
        ("DEFAULT_SEND_TIME", "late", "a time such as 08:00"),
        ("ALPACA_BASE_URL", "nonsense", "http://"),
        ("Q_BROKER", "x", "redis://"),
        ("DATABASE_URL", "garbage", "postgres://"),
        ("DATABASE_URL", "mysql://root:hidden@h/n", "postgres://"),
    ],
)
def test_one_sentence_and_status_2(tmp_path: Path, name: str, value: str, expected: str) -> None:
    refused = Installation(tmp_path / "data", **{name: value}).run("check")
    assert refused.returncode == 2, refused.stderr
    assert name in refused.stderr
    assert expected in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "hidden" not in refused.stderr
    assert refused.stderr.count("\n") == 1
