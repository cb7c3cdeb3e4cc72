"""`make audit`: what was not looked up is never called safe."""

from audit_dependencies import judge

FINE = {"name": "django", "version": "5.2.19", "vulns": []}
BAD = {"name": "x", "version": "1.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "y", "skip_reason": "Dependency not found on PyPI and could not be audited: y (2.0)"}


def statuses(*packages) -> tuple[int, int]:
    found = judge([{"dependencies": [*packages]}, {"dependencies": [*packages[:1]]}])
    return found.status(unless_offline=False), found.status(unless_offline=True)


def test_all_looked_up_and_none_vulnerable():
    assert statuses(FINE) == (0, 0)


def test_a_vulnerable_one_fails_always():
    assert statuses(FINE, BAD, UNKNOWN) == (1, 1)
    assert judge([{"dependencies": [BAD]}]).vulnerable == ("x 1.0: CVE-2026-1, mended in 1.1",)


def test_one_that_was_not_looked_up_fails_where_others_were():
    assert statuses(FINE, UNKNOWN) == (2, 2)


def test_without_a_network_nothing_is_known_and_that_is_said():
    assert statuses(UNKNOWN) == (2, 0)
    assert judge([{}, {}]).status(unless_offline=True) == 0
    assert "NOT AUDITED" in judge([{}]).sentences()[0]
