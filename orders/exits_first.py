"""Lines that close a position whose exits are cancelled first: which may, and what a person must know. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerPosition
from orders.batch_line import Line, LineError

_FIELD = "cancel_exits_first"
_WARNING = (
    "Every order that would sell or buy back the shares is cancelled first, so that from then until the close is "
    "filled nothing guards them; if it is refused, or the cancels are not proven within half a minute, they stay "
    "unguarded until the account's plan or a person places new exits"
)


def with_exits_first(lines: Sequence[Line], positions: Mapping[str, BrokerPosition]) -> tuple[Line, ...]:
    """Give the option to every line that may have it: one order of its symbol, which closes and opens nothing."""
    count = Counter(line.symbol for line in lines)
    return tuple(
        replace(line, cancel_exits_first=True)
        if count[line.symbol] == 1 and not line.order_class and _closes(line, positions)
        else line
        for line in lines
    )


def judge_exits_first(lines: Sequence[Line], positions: Mapping[str, BrokerPosition]) -> Iterator[LineError]:
    count = Counter(line.symbol for line in lines)
    for line in lines:
        if not line.cancel_exits_first:
            continue
        if not _closes(line, positions):
            held = positions[line.symbol].qty if line.symbol in positions else Decimal(0)
            expected = "expected it with an order that closes what is held and opens nothing"
            yield LineError(line.number, _FIELD, f"{expected}, found {plain(held)} {line.symbol} held")
        elif count[line.symbol] > 1:
            expected = f"expected no other order in {line.symbol}, since what holds its shares is cancelled"
            yield LineError(line.number, _FIELD, f"{expected}, found {count[line.symbol]}")


def unguarded_meanwhile(lines: Iterable[Line]) -> Iterator[str]:
    """Yield a warning, if there is reason for one."""
    symbols = sorted({line.symbol for line in lines if line.cancel_exits_first})
    if symbols:
        yield f"{_WARNING}: {', '.join(symbols)}."


def _closes(line: Line, positions: Mapping[str, BrokerPosition]) -> bool:
    held = positions[line.symbol].qty if line.symbol in positions else Decimal(0)
    return line.qty is not None and (held > 0) == (line.side == "sell") and line.qty <= abs(held)
