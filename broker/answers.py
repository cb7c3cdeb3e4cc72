"""What an HTTP answer means. The status and the code decide; the message is for people and may change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from broker import mapping
from broker.errors import (
    BrokerError,
    BrokerUnauthorized,
    BrokerUnavailable,
    CancelRejected,
    DuplicateClientOrderId,
    NotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    ReplaceRejected,
    UnreadableAnswer,
)

_MALFORMED = 40010001
_NOT_FOUND = 40410000
# When Alpaca says "too many" and not until when: its window is a minute long.
_DEFAULT_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_worth_repeating(self) -> bool:
        """For reads: the same question may soon get another answer."""
        return self.status == 429 or self.status >= 500

    @property
    def label(self) -> str:
        request_id = self.headers.get("X-Request-ID", "")
        return f"HTTP {self.status}" + (f", request {request_id[:60]}" if request_id else "")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A body that Alpaca itself wrote; a proxy's HTML page is none."""

    code: int
    message: str


def refusal_in(answer: Answer) -> Refusal | None:
    try:
        body = mapping.parse_json(answer.body)
    except UnreadableAnswer:
        return None
    if not isinstance(body, dict):
        return None
    code, message = body.get("code"), body.get("message")
    if isinstance(code, int) and not isinstance(code, bool) and isinstance(message, str):
        return Refusal(code, message)
    return None


def read_error(call: str, answer: Answer) -> BrokerError:
    """Return what a read that got no 2xx means."""
    if general := _general_error(call, answer):
        return general
    refusal = refusal_in(answer)
    if answer.status == 404 and refusal and _says_not_found(refusal):
        return NotFound(f"Alpaca does not know it: {refusal.message} ({call}, {answer.label}).")
    said = f": {refusal.message}" if refusal else ""
    error = BrokerUnavailable(f"Alpaca did not answer {call} ({answer.label}){said}.")
    error.status = answer.status
    return error


def submit_error(client_order_id: str, answer: Answer) -> BrokerError:
    """Return what a submit that got no 2xx means. Only what is certain is said to be."""
    call = f"POST /v2/orders for {client_order_id}"
    if general := _general_error(call, answer):
        return general
    refusal = refusal_in(answer)
    if refusal is None or answer.status not in {403, 422}:
        return OutcomeUnknown(f"Alpaca's answer to {call} says neither yes nor no ({answer.label}).")
    if answer.status == 422 and refusal.code == _MALFORMED and "must be unique" in refusal.message:
        return DuplicateClientOrderId(f"Alpaca already has an order {client_order_id}.")
    return OrderRejected(f"{refusal.message} ({refusal.code})", code=refusal.code)


def cancel_error(broker_order_id: str, answer: Answer) -> BrokerError:
    call = f"DELETE /v2/orders/{broker_order_id}"
    if general := _general_error(call, answer):
        return general
    refusal = refusal_in(answer)
    if refusal and answer.status == 404 and _says_not_found(refusal):
        return NotFound(f"Alpaca does not know the order {broker_order_id}: {refusal.message}.")
    if refusal and answer.status in {403, 422}:
        return CancelRejected(f"Alpaca did not take the cancel: {refusal.message} ({refusal.code}).")
    return OutcomeUnknown(f"Alpaca's answer to {call} says neither yes nor no ({answer.label}).")


def replace_error(broker_order_id: str, client_order_id: str, answer: Answer) -> BrokerError:
    call = f"PATCH /v2/orders/{broker_order_id}"
    if general := _general_error(call, answer):
        return general
    refusal = refusal_in(answer)
    if refusal and answer.status == 404 and _says_not_found(refusal):
        return NotFound(f"Alpaca does not know the order {broker_order_id}: {refusal.message}.")
    if refusal and answer.status == 422 and refusal.code == _MALFORMED and "must be unique" in refusal.message:
        return DuplicateClientOrderId(f"Alpaca already has an order {client_order_id}.")
    if refusal and answer.status in {403, 422}:
        return ReplaceRejected(f"Alpaca did not replace the order: {refusal.message} ({refusal.code}).")
    return OutcomeUnknown(f"Alpaca's answer to {call} says neither yes nor no ({answer.label}).")


def _general_error(call: str, answer: Answer) -> BrokerError | None:
    if answer.status == 401:
        return BrokerUnauthorized(f"Alpaca does not accept the key pair ({call}, {answer.label}).")
    if answer.status == 429:
        wait = retry_after(answer.headers)
        return RateLimited(
            f"Alpaca takes no more requests for {wait:.0f} s ({call}, {answer.label}).", retry_after=wait
        )
    return None


def _says_not_found(refusal: Refusal) -> bool:
    """A wrong address gets a 404 too, and says nothing of orders."""
    return refusal.code == _NOT_FOUND and "endpoint" not in refusal.message


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds to wait after a 429."""
    try:
        wait = float(int(headers.get("Retry-After", "")))
    except ValueError:
        news = rate_news(headers)
        wait = news.resets_in if news and news.resets_in is not None else _DEFAULT_WAIT_SECONDS
    return min(max(wait, 0.1), _LONGEST_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class RateNews:
    """What Alpaca said of the current minute."""

    limit: int
    remaining: int
    resets_in: float | None


def rate_news(headers: Mapping[str, str]) -> RateNews | None:
    try:
        limit, remaining = int(headers["X-RateLimit-Limit"]), int(headers["X-RateLimit-Remaining"])
    except (KeyError, ValueError):
        return None
    return RateNews(limit, remaining, _resets_in(headers))


def _resets_in(headers: Mapping[str, str]) -> float | None:
    """Both times are the server's, so its clock may differ from ours."""
    try:
        resets_at = datetime.fromtimestamp(int(headers["X-RateLimit-Reset"]), tz=UTC)
        seconds = (resets_at - parsedate_to_datetime(headers["Date"])).total_seconds()
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None
    return seconds if 0 <= seconds <= _LONGEST_WAIT_SECONDS else None
