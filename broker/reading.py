"""How a read is repeated: a few times, for what may pass, and then it proves nothing."""

import random
from collections.abc import Callable
from typing import Any

from broker import mapping
from broker.answers import Answer, read_error
from broker.errors import BrokerError, BrokerUnavailable, NotSent, OutcomeUnknown, RateLimited, UnreadableAnswer

READ_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.25


def _document(answer: Answer) -> Any:
    return mapping.parse_json(answer.body)


def read_patiently(
    call: str,
    ask: Callable[[], Answer],
    sleep: Callable[[float], None],
    values: Callable[[Answer], Any] = _document,
) -> Any:
    """Ask up to three times, for what may pass: no connection, a broken answer, 5xx, 429. Return the document.

    `values` makes something else of it than its JSON, or raises UnreadableAnswer, which is a broken answer.
    """
    failure: BrokerError | None = None
    for attempt in range(READ_ATTEMPTS):
        if attempt:
            _pause(attempt, sleep)
        try:
            answer = ask()
            if answer.is_success:
                return values(answer)
            failure = read_error(call, answer)
            if not answer.is_worth_repeating:
                raise failure
        except (NotSent, OutcomeUnknown, UnreadableAnswer, RateLimited) as error:
            failure = error
    if isinstance(failure, BrokerUnavailable) and failure.status:
        raise failure
    raise BrokerUnavailable(f"Alpaca could not be read ({call}). {failure}") from failure


def _pause(attempt: int, sleep: Callable[[float], None]) -> None:
    sleep(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311  # spreads retries, hides nothing
