"""No regular expression of ours can be made to run for long by what it is given."""

import ast
import re
import time
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "alerts", "alpacasim", "audit", "bookmarks", "broker", "orders", "positions", "reconciliation", "tradingsite",
    "ui", "upkeep", "work",
)  # fmt: skip
CALLS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "RegexValidator"}
#: As long as any text that a page or a file may bring in one piece.
LENGTH = 20_000
PIECES = (
    "0", "1e", "a", "A.", "A/", " ", "-", "_", ":", "a=", "a=b://", "%", "é", "1.", "2025-01-01", "\n", "(", "x@",
)  # fmt: skip


def _patterns() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in CALLS and node.args:
                    first = node.args[0]
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        found[f"{path.relative_to(ROOT)}:{node.lineno}"] = first.value
    return found


def _name(called: ast.expr) -> str:
    """`re.compile` and `RegexValidator`; a `split` of a text is no pattern."""
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "re":
        return called.attr
    return called.id if isinstance(called, ast.Name) and called.id == "RegexValidator" else ""


PATTERNS = _patterns()


def test_the_patterns_are_found():
    assert len(PATTERNS) > 8
    assert any(where.startswith("orders/batch_line.py") for where in PATTERNS)


def nested(tree: Any, *, inside: bool = False) -> bool:
    """Whether a part that repeats without limit holds another one."""
    for operation, argument in tree:
        if str(operation) in {"MAX_REPEAT", "MIN_REPEAT"}:
            endless = argument[1] is _parser.MAXREPEAT
            if (endless and inside) or nested(argument[2], inside=inside or endless):
                return True
        elif isinstance(argument, tuple) and any(isinstance(part, _parser.SubPattern) for part in argument):
            if any(nested(part, inside=inside) for part in argument if isinstance(part, _parser.SubPattern)):
                return True
        elif str(operation) == "BRANCH" and any(nested(branch, inside=inside) for branch in argument[1]):
            return True
    return False


def seconds(pattern: str, text: str) -> float:
    compiled = re.compile(pattern)
    begun = time.process_time()
    compiled.search(text)
    compiled.fullmatch(text)
    compiled.split(text)
    return time.process_time() - begun


@pytest.mark.parametrize("where", sorted(PATTERNS))
def test_no_pattern_repeats_what_repeats(where):
    assert not nested(_parser.parse(PATTERNS[where])), PATTERNS[where]


@pytest.mark.parametrize("where", sorted(PATTERNS))
def test_no_pattern_takes_long(where):
    for piece in PIECES:
        text = (piece * (LENGTH // len(piece) + 1))[:LENGTH]
        for end in ("", "!", "\0"):
            assert seconds(PATTERNS[where], text + end) < 0.5, f"{PATTERNS[where]} on {piece!r}…"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(?:\d*\.?)*x", r"(a|b*)*c", r"((?:x+)y?)*"])
def test_such_a_pattern_would_be_found(pattern):
    assert nested(_parser.parse(pattern))


def test_a_slow_pattern_would_be_found():
    assert seconds(r"\s*\s*x", " " * 300) > seconds(r"\sx", " " * 300) * 20
