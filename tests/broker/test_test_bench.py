"""What the tests themselves stand on."""

from types import SimpleNamespace

import pytest

from broker.gateway import open_gateway
from broker.models import Account
from tests.conftest import _required
from tests.simulation import SimAccount


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_an_account_of_its_own(sim_account: Account, sim: SimAccount, turn: int) -> None:
    assert sim.requests() == []
    sim.manual_order(symbol="AAPL", side="buy", qty="1", type="limit", limit_price="1")
    sim.fault("status", times=None)
    sim.configure(hold_fills=True)
    with pytest.raises(AssertionError, match="fault must be"):
        sim.simulator.admin("faults", {"fault": "none such"})


def test_the_account_reaches_the_simulator(sim_account: Account, sim: SimAccount) -> None:
    assert open_gateway(sim_account).get_account().cash == 100_000
    assert [r["path"] for r in sim.requests()] == ["/v2/account"]


def test_a_skip_is_a_failure_where_everything_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    def skipped() -> SimpleNamespace:
        return SimpleNamespace(skipped=True, outcome="skipped", longrepr="no chromium")

    monkeypatch.setenv("REQUIRE_ALL", "1")
    assert _required(skipped()).outcome == "failed"
    monkeypatch.delenv("REQUIRE_ALL")
    assert _required(skipped()).outcome == "skipped"
