"""What is wrong with the account, the clocks or the stream while the read itself is good. Pure.

These stand beside the other differences and void none of them: a read that proves nothing ends before any comparison.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from broker.numbers import plain
from broker.times import NEW_YORK
from broker.types import BrokerAccount
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord, StreamFacts
from reconciliation.kinds import Kind

#: Clocks that are further apart are said to differ, and the windows of reading are widened by as much.
MOST_SKEW = timedelta(seconds=2)
#: A stream that is followed and brought nothing for so long, not even a pong, is broken or as good as broken.
LONGEST_SILENCE = timedelta(seconds=60)

_BLOCKS = {
    "trading_blocked": "trading is blocked",
    "account_blocked": "the whole account is blocked",
    "trade_suspended_by_user": "trading is suspended in the account's own settings",
}


def compare_evidence(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    """Yield what keeps the account from trading, and what makes our view of it late."""
    yield from _restriction(evidence.account)
    yield from _skew(evidence)
    yield from _gap(record.stream, evidence)


def clock_skew(evidence: BrokerEvidence) -> timedelta:
    """How far Alpaca's clock is ahead of ours (negative: behind). What the answer took does not count."""
    return skew_between(evidence.clock.timestamp, evidence.clock_asked_at, evidence.clock_answered_at)


def skew_between(theirs: datetime, asked_at: datetime | None, answered_at: datetime | None) -> timedelta:
    """The moment lies somewhere between asking and answering: only what lies outside is skew for certain."""
    if asked_at is None or answered_at is None or asked_at <= theirs <= answered_at:
        return timedelta(0)
    return theirs - (asked_at if theirs < asked_at else answered_at)


def _restriction(account: BrokerAccount) -> Iterator[Difference]:
    blocks = [words for name, words in _BLOCKS.items() if getattr(account, name)]
    if account.status.upper() != "ACTIVE":
        blocks.append(f"its status is {account.status or 'empty'}")
    if not blocks:
        return
    yield Difference(
        kind=Kind.RESTRICTED_ACCOUNT,
        subject=account.account_number,
        symbol="",
        local={"status": "ACTIVE"} | dict.fromkeys(_BLOCKS, "no"),
        broker={"status": account.status} | {name: "yes" if getattr(account, name) else "no" for name in _BLOCKS},
        sentence=(
            f"Alpaca restricts account {account.account_number}: {', and '.join(blocks)}. It can be read and compared "
            "as ever. Sending is not stopped here by this: Alpaca refuses what is sent, exits included, until the "
            "restriction ends. Throw the kill switch if batches shall wait."
        ),
    )


def _skew(evidence: BrokerEvidence) -> Iterator[Difference]:
    skew = clock_skew(evidence)
    if abs(skew) <= MOST_SKEW or evidence.clock_answered_at is None:
        return
    word = "ahead of" if skew > timedelta(0) else "behind"
    yield Difference(
        kind=Kind.CLOCK_SKEW,
        subject="clock",
        symbol="",
        local={"clock": _time_of_day(evidence.clock_answered_at)},
        broker={"clock": _time_of_day(evidence.clock.timestamp)},
        sentence=(
            f"Alpaca's clock is {_spell(abs(skew))} {word} ours. Reading starts that much earlier, so nothing is "
            "lost; times shown beside each other may mislead. Let this machine follow a time server."
        ),
    )


def _gap(stream: StreamFacts | None, evidence: BrokerEvidence) -> Iterator[Difference]:
    """A gap that began before this complete read is closed by it; one that lasts is not."""
    began = evidence.began_at
    if stream is None or began is None:
        return
    heard = stream.last_heard_at or stream.gap_since
    if not stream.is_followed or heard is None or began - heard <= LONGEST_SILENCE:
        return  # a short break is made good by its follower
    since, words = heard, "the connection is open but silent"
    if stream.connected_at is None:
        words = stream.gap_reason or "there is no connection"
    yield Difference(
        kind=Kind.STREAM_GAP,
        subject="trade_updates",
        symbol="",
        local={"heard_until": since.isoformat(timespec="seconds")},
        broker={},
        sentence=(
            f"Nothing is heard from Alpaca's stream since {_time_of_day(since)} New York time: {words.rstrip('.')}. "
            "Sweeps and runs find what it would have told, later."
        ),
    )


def impossible_flat(record: LocalRecord, evidence: BrokerEvidence) -> str | None:
    """Return a sentence when Alpaca lists no position at all while its own fills still say what our books say.

    Only the complete history can say so: a window may lack the fills that closed them.
    """
    if evidence.positions or evidence.activities_after is not None:
        return None
    named = {other.symbol for other in evidence.other_activities}
    by_fills: dict[str, Decimal] = {}
    for fill in evidence.fills.values():
        by_fills[fill.symbol] = by_fills.get(fill.symbol, Decimal(0)) + (fill.qty if fill.side == "buy" else -fill.qty)
    for symbol, ours in sorted(record.positions.items()):
        if ours.qty != 0 and by_fills.get(symbol) == ours.qty and symbol not in named:
            return (
                f"Alpaca lists no positions at all, but by its own fills {plain(ours.qty)} {symbol} are held, as our "
                "books say, and nothing shows that they were closed: the list is not believed."
            )
    return None


def gap_closed_by(stream: StreamFacts | None, evidence: BrokerEvidence) -> datetime | None:
    """Return the beginning of the gap that this complete read has made good, if there was one."""
    began = evidence.began_at
    if stream is None or began is None or stream.gap_since is None or stream.gap_since > began:
        return None
    return stream.gap_since


def _time_of_day(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"


def _spell(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600:,} hours"
