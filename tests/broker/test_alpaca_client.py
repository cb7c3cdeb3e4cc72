"""alpaca-py is changed through private names. An upgrade that moves them must fail here, not with money."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from alpaca.common.rest import RESTClient
from alpaca.trading.client import TradingClient
from requests.adapters import HTTPAdapter

from broker.alpaca_client import AlpacaClient
from broker.answers import Answer
from broker.errors import NotSent, OutcomeUnknown
from tests.simulation import SimAccount


@pytest.fixture
def client(sim: SimAccount) -> AlpacaClient:
    return AlpacaClient(key=sim.key_id, secret="sim", url=sim.url + "/", connect_timeout=1, read_timeout=5)


def test_the_private_names_are_where_they_were() -> None:
    plain = TradingClient("key", "secret", url_override="http://127.0.0.1:1")
    assert version("alpaca-py") == "0.44.0", "Read alpaca/common/rest.py again, then name the new version here."
    assert plain._retry == 3
    assert plain._session.trust_env is True
    assert list(inspect.signature(RESTClient._one_request).parameters) == ["self", "method", "url", "opts", "retry"]
    assert TradingClient._one_request is RESTClient._one_request


def test_nothing_is_repeated_by_the_sdk(client: AlpacaClient, sim: SimAccount) -> None:
    sim.fault("status", times=None, status=504)
    for send in (client.get, client.delete, client.post, client.patch):
        assert send("/orders").status == 504
    assert client._retry == 0
    assert [r["method"] for r in sim.requests()] == ["GET", "DELETE", "POST", "PATCH"]
    assert client.calls == 4


def test_every_request_is_patient_but_not_for_ever(client: AlpacaClient, sim: SimAccount, monkeypatch: Any) -> None:
    seen = []

    def look(_self: HTTPAdapter, _request: object, **options: Any) -> None:
        seen.append(options["timeout"])
        raise ZeroDivisionError

    adapter = client._session.get_adapter(sim.url)
    with monkeypatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", look)
        with pytest.raises(ZeroDivisionError):
            client.get("/account")
    assert seen == [(1, 5)]
    assert client._session.get_adapter("https://paper-api.alpaca.markets").__class__ is type(adapter)


def test_no_redirect_is_followed(client: AlpacaClient, sim: SimAccount) -> None:
    sim.fault("status", status=307, headers={"Location": f"{sim.url}/v2/clock"})
    assert client.post("/orders", {"symbol": "AAPL"}).status == 307
    assert len(sim.requests()) == 1


def test_proxies_of_the_computer_are_not_used(client: AlpacaClient, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert client._session.trust_env is False
    assert client.get("/account").is_success


def test_an_answer_is_handed_on_as_bytes(client: AlpacaClient, sim: SimAccount) -> None:
    sim.fault("garbage", body='{"qty": 123456789.123456789}')
    answer = client.get("/account")
    assert isinstance(answer, Answer)
    assert answer.body == b'{"qty": 123456789.123456789}'
    assert answer.headers["x-ratelimit-limit"]
    assert answer.label.startswith("HTTP 200, request ")


def test_an_empty_answer_is_an_answer(client: AlpacaClient, sim: SimAccount) -> None:
    sim.fault("status", status=204, body="", html=False)
    answer = client.delete("/orders/x")
    assert (answer.status, answer.body, answer.is_success) == (204, b"", True)


def test_the_form_of_an_answer_does_not_matter(client: AlpacaClient) -> None:
    """5000 rows and more than one chunk arrive whole."""
    assert client.get("/calendar", {"start": "1970-01-01", "end": "2029-12-31"}).body.endswith(b"]")


@pytest.mark.parametrize("fault", ["drop_answer", "hang"])
def test_a_request_that_left_is_not_called_unsent(sim: SimAccount, fault: str) -> None:
    client = AlpacaClient(key=sim.key_id, secret="sim", url=sim.url, connect_timeout=1, read_timeout=0.2)
    sim.fault(fault)
    with pytest.raises(OutcomeUnknown):
        client.post("/orders", {})


def test_a_server_that_went_away_between_two_requests_is_no_proof_of_anything(sim: SimAccount) -> None:
    client = AlpacaClient(key="k", secret="s", url="http://127.0.0.1:1", connect_timeout=0.2, read_timeout=0.2)
    with pytest.raises(NotSent):
        client.post("/orders", {})
