"""What is wrong beside a good read: a restricted account, clocks that differ, a stream with a gap."""

import json
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone

from broker.models import Account, StreamState
from broker.stream_state import NOT_FOLLOWED
from reconciliation.models import Drift, ReadingCursor, Run
from tests.reconciliation.steps import kinds, open_books, placed, reconcile, record_as
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(sim_account: Account, sim: SimAccount) -> Account:
    open_books(sim_account)
    record_as(sim_account, sim, placed(sim, client_order_id="ts-1"))
    return sim_account


def answer_as(sim: SimAccount, path: str, **changes: object) -> None:
    """From now on this address answers with these fields changed."""
    document = {**sim.api("GET", path), **changes}
    sim.fault("garbage", "GET", f"^{path}$", times=None, body=json.dumps(document))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("trading_blocked", True, "trading is blocked"),
        ("account_blocked", True, "the whole account is blocked"),
        ("trade_suspended_by_user", True, "suspended in the account's own settings"),
        ("status", "ACCOUNT_CLOSED", "its status is ACCOUNT_CLOSED"),
    ],
)
def test_restricted_account_stands_beside_the_others(
    account: Account, sim: SimAccount, field: str, value: object, words: str
) -> None:
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    answer_as(sim, "/v2/account", **{field: value})
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"restricted_account": [], "our_order_unlinked": ["position_broker_only"]}
    assert words in Drift.objects.get(kind="restricted_account").sentence
    assert Drift.objects.get(kind="our_order_unlinked").fix is not None
    sim.clear_faults()
    reconcile(account)
    assert list(kinds(account)) == ["our_order_unlinked"]


def test_account_suspended_in_its_own_settings_at_the_simulator(account: Account, sim: SimAccount) -> None:
    sim.api("PATCH", "/v2/account/configurations", json={"suspend_trade": True})
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"restricted_account": []}
    sim.api("PATCH", "/v2/account/configurations", json={"suspend_trade": False})
    assert reconcile(account).state == Run.State.IN_SYNC


@pytest.mark.parametrize(("seconds", "word"), [(30, "ahead of"), (-30, "behind")])
def test_clocks_that_differ(account: Account, sim: SimAccount, seconds: int, word: str) -> None:
    sim.act("clock", mode="open", at=(timezone.now() + timedelta(seconds=seconds)).isoformat())
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"clock_skew": []}
    assert f"seconds {word} ours" in Drift.objects.get(kind="clock_skew").sentence
    assert reconcile(account).state == Run.State.DRIFT
    assert Drift.objects.filter(kind="clock_skew").count() == 1
    sim.act("clock", mode="open", follow=True)
    assert reconcile(account).state == Run.State.IN_SYNC


def test_slow_answer_is_no_skew(account: Account, sim: SimAccount) -> None:
    sim.fault("delay_answer", "GET", "/v2/clock", times=None, seconds=3)
    assert reconcile(account).state == Run.State.IN_SYNC


def test_order_before_a_window_that_lies_in_the_brokers_future_is_read(account: Account, sim: SimAccount) -> None:
    """Alpaca's clock was put back after a run: without widening, the window would begin after its present."""
    assert reconcile(account).state == Run.State.IN_SYNC
    sim.act("clock", mode="open", at=(timezone.now() - timedelta(hours=1)).isoformat())
    far = timezone.now() + timedelta(days=2)
    ReadingCursor.objects.update(orders_read_to=far, activities_read_to=far)
    placed(sim, client_order_id="ts-2", symbol="NVDA")
    reconcile(account)
    assert set(kinds(account)) == {"clock_skew", "our_order_unlinked"}


# --- The stream ---------------------------------------------------------------------------------------------------


def follow(account: Account, **fields: object) -> StreamState:
    now = timezone.now()
    values = {"holder": "host:1", "connected_at": now, "last_heard_at": now, "updated_at": now, **fields}
    return StreamState.objects.update_or_create(account=account, defaults=values)[0]


def test_complete_run_closes_a_gap_and_keeps_a_note_of_it(account: Account) -> None:
    since = timezone.now() - timedelta(minutes=2)
    state = follow(account, gap_since=since, gap_reason="The connection broke.")
    assert reconcile(account).state == Run.State.IN_SYNC
    state.refresh_from_db()
    assert state.gap_since is None
    drift = Drift.objects.get(kind="stream_gap")
    assert drift.state == Drift.State.RESOLVED
    assert "nothing is missing" in drift.sentence


def test_incomplete_run_closes_nothing_and_says_so(account: Account, sim: SimAccount) -> None:
    since = timezone.now() - timedelta(minutes=2)
    state = follow(account, gap_since=since, gap_reason="The connection broke.")
    sim.fault("status", "GET", "/v2/positions", times=None, status=500)
    assert reconcile(account).state == Run.State.INCOMPLETE
    assert set(kinds(account)) == {"incomplete_read", "stream_gap"}
    state.refresh_from_db()
    assert state.gap_since == since
    sim.clear_faults()
    assert reconcile(account).state == Run.State.IN_SYNC
    assert Drift.objects.filter(kind="stream_gap").count() == 1
    state.refresh_from_db()
    assert state.gap_since is None


def test_broken_connection_is_a_gap_until_it_is_back(account: Account) -> None:
    since = timezone.now() - timedelta(minutes=5)
    state = follow(account, connected_at=None, last_heard_at=since, gap_since=since, gap_reason="The connection broke.")
    assert reconcile(account).state == Run.State.DRIFT
    assert kinds(account) == {"stream_gap": []}
    state.refresh_from_db()
    assert state.gap_since is not None
    assert state.gap_since > since  # what lies before this run is made good
    follow(account)
    assert reconcile(account).state == Run.State.IN_SYNC


def test_silent_connection_is_a_gap(account: Account) -> None:
    follow(account, last_heard_at=timezone.now() - timedelta(minutes=5))
    reconcile(account)
    assert kinds(account) == {"stream_gap": []}
    assert "silent" in Drift.objects.get(kind="stream_gap").sentence


def test_short_break_and_a_first_connection_are_no_drift(account: Account) -> None:
    """Whoever follows the stream makes them good within seconds."""
    now = timezone.now()
    recently = now - timedelta(seconds=20)
    follow(account, connected_at=None, last_heard_at=recently, gap_since=recently, gap_reason="The connection broke.")
    assert reconcile(account).state == Run.State.IN_SYNC
    long_ago = now - timedelta(days=2)
    follow(account, connected_at=None, last_heard_at=long_ago, gap_since=long_ago, gap_reason=NOT_FOLLOWED)
    assert reconcile(account).state == Run.State.IN_SYNC
    follow(account, gap_since=recently, gap_reason="The connection broke.")
    assert reconcile(account).state == Run.State.IN_SYNC
    assert StreamState.objects.get().gap_since is None
    assert not Drift.objects.exists()


def test_without_a_stream_nothing_is_missed(account: Account) -> None:
    follow(account, holder="", connected_at=None, last_heard_at=None)
    assert reconcile(account).state == Run.State.IN_SYNC


# --- Reads that contradict themselves -------------------------------------------------------------------------------


def test_flat_account_that_its_own_fills_deny_is_not_believed(account: Account, sim: SimAccount) -> None:
    """The list is empty, the account's sums agree with it, and the position is not found by name either."""
    assert reconcile(account).state == Run.State.IN_SYNC
    cash = sim.api("GET", "/v2/account")["cash"]
    answer_as(sim, "/v2/account", long_market_value="0", equity=cash)
    sim.fault("empty_list", "GET", "^/v2/positions$", times=None)
    sim.fault(
        "status",
        "GET",
        "^/v2/positions/QCOM$",
        times=None,
        status=404,
        body={"code": 40410000, "message": "position does not exist"},
    )
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert "not believed" in run.incomplete_reason
    sim.clear_faults()
    assert reconcile(account).state == Run.State.IN_SYNC


def test_two_accounts_in_one_reading(account: Account, sim: SimAccount) -> None:
    """The second answer about the account, asked for because the sums disagree, is another account's."""
    assert reconcile(account).state == Run.State.IN_SYNC
    one = sim.api("GET", "/v2/account")
    sim.fault("garbage", "GET", "^/v2/account$", times=1, body=json.dumps({**one, "long_market_value": "1"}))
    other = {**one, "id": "00000000-0000-4000-8000-000000000000", "account_number": "PA0"}
    sim.fault("garbage", "GET", "^/v2/account$", times=None, after=1, body=json.dumps(other))
    run = reconcile(account)
    assert run.state == Run.State.INCOMPLETE
    assert "belongs to neither" in run.incomplete_reason


def test_wrong_account_is_refused_before_anything_is_read_of_it(
    account: Account, sim: SimAccount, settings: LazySettings
) -> None:
    assert reconcile(account).state == Run.State.IN_SYNC
    settings.ALPACA_API_KEY = f"{sim.key_id}-other"
    run = reconcile(account)
    assert set(kinds(account)) <= {"wrong_account", "account_reset"}
    assert run.api_calls == 2
