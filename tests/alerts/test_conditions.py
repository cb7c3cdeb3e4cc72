"""What is judged to be a trouble, and when an open one is told again. Pure."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import Condition, conditions_of, ending_of
from alerts.facts import AccountFacts, Beat, Facts, Thing
from alerts.kinds import AlertKind
from alerts.telling import Purpose, Told, purpose_of
from reconciliation.kinds import Severity
from tests.factories import NOW

QUARTER = timedelta(minutes=15)


def ago(**span):
    return NOW - timedelta(**span)


def judged(facts=None, **account):
    facts = facts or Facts(accounts=(AccountFacts(slug="sim", name="Simulator", **account),))
    return {condition.key: condition for condition in conditions_of(facts, now=NOW, approval_after=QUARTER)}


def test_nothing_is_wrong():
    beats = (Beat("ticker", "a", ago(seconds=5)), Beat("worker", "a", ago(seconds=20)))
    quiet = AccountFacts(slug="sim", name="Simulator", stream_word="live", incomplete_runs=2)
    assert judged(Facts(accounts=(quiet,), beats=beats)) == {}
    assert judged(Facts()) == {}


def test_drift_is_one_trouble_for_each_severity():
    drifts = tuple(
        Thing(f"drift {number}", f"Fill {number} is missing.", ago(minutes=number), severity)
        for number, severity in enumerate(["critical", "high", "high", "high", "high", "high"])
    )
    found = judged(drifts=drifts)
    assert list(found) == ["drift:sim:critical", "drift:sim:high"]
    assert found["drift:sim:high"].number == 5
    assert found["drift:sim:high"].severity == "high"
    assert "Fill 5 is missing. Fill 4 is missing. Fill 3 is missing. And 2 more." in found["drift:sim:high"].sentence
    assert found["drift:sim:high"].things == {f"drift {number}" for number in range(1, 6)}


@pytest.mark.parametrize(("seconds", "is_told"), [(59, False), (60, True)])
def test_an_order_that_is_not_confirmed_for_a_minute(seconds, is_told):
    found = judged(unconfirmed=(Thing("order 7", "buy 3 AAPL, order 7", ago(seconds=seconds)),))
    assert ("unconfirmed:sim" in found) is is_told
    assert all(condition.severity == "critical" for condition in found.values())


@pytest.mark.parametrize(("runs", "is_told"), [(2, False), (3, True), (9, True)])
def test_incomplete_runs_in_a_row(runs, is_told):
    found = judged(incomplete_runs=runs, incomplete_reason="the list of orders was cut short")
    assert ("incomplete:sim" in found) is is_told
    if is_told:
        assert "the list of orders was cut short." in found["incomplete:sim"].sentence


@pytest.mark.parametrize(
    ("word", "seconds", "is_told"),
    [("off", 999, False), ("live", 999, False), ("catching_up", 999, False), ("broken", 29, False),
     ("broken", 30, True), ("stale", 31, True)],
)  # fmt: skip
def test_a_stream_that_was_followed_is_down(word, seconds, is_told):
    assert ("stream:sim" in judged(stream_word=word, stream_since=ago(seconds=seconds))) is is_told


def test_workers():
    def workers(*beats):
        return {key: c.severity for key, c in judged(Facts(beats=beats)).items()}

    dead, alive = Beat("ticker", "a", ago(seconds=61)), Beat("ticker", "b", ago(seconds=3))
    assert workers(dead) == {"worker": "critical"}
    assert workers(dead, alive) == {"worker:a": "high"}
    assert workers(dead, Beat("ticker", "a", ago(seconds=1))) == {}  # another process on that host
    assert workers(alive, Beat("worker", "b", ago(minutes=4))) == {"worker": "critical"}
    assert workers(alive, Beat("ticker", "a", ago(days=2))) == {}
    assert "since 2025-11-07 09:28:59 ET." in judged(Facts(beats=(dead,)))["worker"].sentence


def test_what_is_only_forgotten_is_not_called_mended():
    young, old = Beat("ticker", "b", ago(seconds=3)), Beat("ticker", "a", ago(days=1))
    for beats in ([young, old], [young]):  # clean-up takes the row of the silent one
        assert "on a has been silent for a day" in ending_of("worker:a", Facts(beats=tuple(beats)), now=NOW)
    assert ending_of("worker:b", Facts(beats=(young, old)), now=NOW) == ""
    assert ending_of("worker", Facts(beats=(young, old)), now=NOW) == ""

    halted = Facts(accounts=(AccountFacts(slug="sim", name="Simulator", halted_since=ago(minutes=1)),))
    assert "all sending is halted" in ending_of("batch:sim:late", halted, now=NOW)
    assert ending_of("batch:swing:late", halted, now=NOW) == ending_of("drift:sim:high", halted, now=NOW) == ""


def test_what_waits_for_a_person_is_told_after_its_time():
    young, old = Thing("fix 1", "Book a fill", ago(minutes=14)), Thing("fix 2 second", "Void it", ago(minutes=16))
    assert judged(approvals=(young, old))["approval:sim"].things == {"fix 2 second"}
    assert judged(approvals=(young,)) == {}


def test_the_kill_switch_again_is_another_thing():
    first = judged(halted_since=ago(minutes=9), halted_by="ops", halted_reason="odd fills")["halted:sim"]
    second = judged(halted_since=ago(minutes=1), halted_by="ops")["halted:sim"]
    assert "ops halted all sending: odd fills." in first.sentence
    assert purpose_of(second, Told("high", 1, first.things)) == Purpose.WORSE


# --- Telling again ------------------------------------------------------------------------------------------------

SEVERITY = st.sampled_from(list(Severity))
THINGS = st.frozensets(st.integers(0, 12).map(str), max_size=8)


def condition(severity=Severity.HIGH, things=frozenset(), number=1):
    return Condition(
        key="drift:sim", kind=AlertKind.DRIFT, severity=severity, sentence="x", link="/", things=frozenset(things),
        number=number,
    )  # fmt: skip


@given(SEVERITY, THINGS, st.integers(1, 50))
def test_what_was_just_told_is_not_told_again(severity, things, number):
    it = condition(severity, things, number)
    assert purpose_of(it, Told()) == Purpose.NEW
    assert purpose_of(it, Told(severity.value, number, things)) is None


@given(SEVERITY, THINGS, THINGS, st.integers(1, 50))
def test_it_is_never_told_for_having_become_better(severity, told, gone, number):
    it = condition(severity, told - gone, max(1, number - len(gone)))
    assert purpose_of(it, Told(severity.value, number, told)) is None


@given(THINGS)
def test_one_more_where_money_is_at_risk_is_always_told(told):
    it = condition(Severity.CRITICAL, told | {"new"})
    assert purpose_of(it, Told("critical", len(told), told)) == Purpose.WORSE


def test_steps():
    told = Told("high", 6, frozenset("abcdef"))
    assert purpose_of(condition(things="abcdefgh"), told) is None
    assert purpose_of(condition(things="abcdefghi"), told) == Purpose.WORSE
    assert purpose_of(condition(Severity.CRITICAL, "a"), told) == Purpose.WORSE
    assert purpose_of(condition(number=5), Told("high", 3)) is None
    assert purpose_of(condition(number=6), Told("high", 3)) == Purpose.WORSE
