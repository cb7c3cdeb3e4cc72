"""alpaca-py's TradingClient, made safe for money. The only module that imports alpaca-py.

Import it late, in the processes that talk to Alpaca. What is changed, and why:

* No request is ever repeated by the SDK: it would send an order up to four times.
* Every request has a time-out: the SDK waits for ever.
* The answer is handed on as bytes: the SDK's own parsing turns digits into floats and fails on unknown words.
* Proxies and ~/.netrc of the computer are not used: they could send the keys elsewhere.

`_session`, `_retry` and `_one_request` are private to the SDK; tests/broker/test_alpaca_client.py fails when an
upgrade moves them.
"""

import time
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, NewConnectionError

from broker.answers import Answer
from broker.errors import NotSent, OutcomeUnknown
from broker.late_pandas import pandas_loaded_late

with pandas_loaded_late():
    from alpaca.trading.client import TradingClient

_CHUNK_BYTES = 65536


class AlpacaClient(TradingClient):  # type: ignore[misc]  # alpaca-py is followed by no type checker: it pulls in pandas
    """One connection to one account. Not for several threads at a time.

    `get`, `post` and `delete` return an `Answer`; they raise `NotSent` when no connection was made, and
    `OutcomeUnknown` when one was made and no whole answer came back.
    """

    def __init__(self, *, key: str, secret: str, url: str, connect_timeout: float, read_timeout: float) -> None:
        super().__init__(key, secret, raw_data=True, url_override=url.rstrip("/"))
        self.calls = 0
        self._retry = 0
        self._read_timeout = read_timeout
        self._session.trust_env = False
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _PatientAdapter(connect_timeout, read_timeout))

    def _one_request(self, method: str, url: str, opts: dict[str, Any], _retry: int) -> Answer:
        self.calls += 1
        try:
            with self._session.request(method, url, stream=True, **opts) as response:
                return Answer(response.status_code, response.headers, self._read(response))
        except (requests.RequestException, HTTPError, OSError) as error:
            if was_not_sent(error):
                raise NotSent(f"No connection to Alpaca: {_cause(error)}.{_hint(url)}") from error
            raise OutcomeUnknown(f"Alpaca gave no whole answer: {_cause(error)}.") from error

    def _read(self, response: requests.Response) -> bytes:
        """The time-out of the socket counts from byte to byte; this one bounds the whole answer."""
        deadline = time.monotonic() + self._read_timeout
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("The answer came too slowly.")
        return bytes(body)


class _PatientAdapter(HTTPAdapter):
    """Patient, but not for ever: every request gets both time-outs."""

    def __init__(self, connect_timeout: float, read_timeout: float) -> None:
        self._timeouts = (connect_timeout, read_timeout)
        super().__init__(pool_connections=1, pool_maxsize=1)

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._timeouts
        return super().send(request, *args, **options)


def was_not_sent(error: Exception) -> bool:
    """True only when it is certain that nothing left: no connection was made, or the address is none."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return True
    if isinstance(error, requests.exceptions.MissingSchema):
        return True
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(reason, NewConnectionError):
        return True
    # The server's certificate is checked before the first byte of the request.
    return isinstance(error, requests.exceptions.SSLError) and any(
        isinstance(part, SSLCertVerificationError) for part in getattr(reason, "args", ())
    )


def _cause(error: Exception) -> str:
    """A few words for people. The library's own text is left in the chained error: it is long and names hosts."""
    if isinstance(error, requests.ConnectTimeout):
        return "connecting took too long"
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the answer took too long"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted"
    return "it was refused" if was_not_sent(error) else "the connection broke"


def _hint(url: str) -> str:
    """Nothing listens on this computer: then it is the simulator that is missing."""
    is_here = urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    return " Is the simulator running? Start it: manage.py alpacasim." if is_here else ""
