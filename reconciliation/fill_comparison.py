"""Compare fills: the values of those that both sides have, and those that only we have. Pure."""

from collections.abc import Iterator

from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.wording import spell_fill


def compare_fills(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    yield from _compare_fill_values(record, evidence)
    yield from _phantom_fills(record, evidence)


def _compare_fill_values(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    for activity_id, theirs in evidence.fills.items():
        ours = record.fills.get(activity_id)
        if ours is None or (ours.qty, ours.price, ours.side) == (theirs.qty, theirs.price, theirs.side):
            continue
        yield Difference(
            kind=Kind.FILL_VALUES_DIFFER,
            subject=activity_id,
            symbol=theirs.symbol,
            local=spell_fill(ours),
            broker=spell_fill(theirs),
            sentence=f"Fill {activity_id} of {theirs.symbol} has other values at Alpaca.",
            new_fills=(theirs,),
            gone_fill=activity_id,
            holds_cursor_at=theirs.transaction_time,
        )


def _phantom_fills(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    since = evidence.activities_after  # None: every fill there ever was has been read
    for activity_id, ours in record.fills.items():
        in_window = (
            since is None or since < ours.transaction_time
        ) and ours.transaction_time < evidence.read_started_at
        if in_window and activity_id not in evidence.fills:
            yield Difference(
                kind=Kind.PHANTOM_FILL,
                subject=activity_id,
                symbol=ours.symbol,
                local=spell_fill(ours),
                broker={},
                sentence=f"The database has a fill of {ours.symbol} that Alpaca does not list: {activity_id}.",
                gone_fill=activity_id,
                holds_cursor_at=ours.transaction_time,
            )
