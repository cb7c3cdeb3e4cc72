"""Compare cash: Alpaca's entries that we lack, the cash itself, and equity against itself. Pure.

Cash is judged only where nothing else is open that could explain it: no order on its way, no fill younger than the
read, every position of the quantity that Alpaca shows. What fills and entries that we lack have paid belongs to
their own differences and is none of its own.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from broker.numbers import plain
from broker.types import BrokerActivity
from positions.cash_sums import CashBooks, total_of
from reconciliation.difference import Difference
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.kinds import Kind
from reconciliation.position_comparison import symbols_in_flight
from reconciliation.without_trade import TRANSFERS, agrees, moment_of

SUBJECT = "account"
#: Equity is worth more than a dollar's doubt, and more than a thousandth of what is held.
_LEAST_EQUITY_GAP = Decimal(1)
_EQUITY_TOLERANCE = Decimal("0.001")
_ZERO = Decimal(0)

_WORDS = {
    "DIV": "a dividend", "INT": "interest", "FEE": "a fee", "CFEE": "a crypto fee", "CSD": "a deposit",
    "CSW": "a withdrawal", "JNLC": "a journal entry", "ACATC": "a cash transfer", "PTC": "a pass-through charge",
    "SPLIT": "cash in lieu of a fraction of a share",
}  # fmt: skip


def compare_cash(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    books = record.cash
    if books is None:
        return
    new = unbooked_cash(record, evidence, books)
    of_splits = _told_with_a_split(record, evidence)
    for activity in new:
        if activity.activity_id not in of_splits:
            yield _entry(activity)
    if not is_unjudged(record, evidence):
        yield from _cash(new, books, record, evidence)
    yield from _equity(record, evidence)


def unbooked_cash(record: LocalRecord, evidence: BrokerEvidence, books: CashBooks) -> list[BrokerActivity]:
    """Alpaca's entries with money that came after the opening balance and are not booked."""
    return [
        activity
        for activity in evidence.other_activities
        if activity.net_amount
        and activity.activity_type != "FILL"
        and activity.activity_id not in record.booked_activities
        and activity.raw.get("status") != "canceled"
        and (_moment(activity) or books.opened_at) > books.opened_at
    ]


def _moment(activity: BrokerActivity) -> datetime | None:
    """When Alpaca made the entry, not the day it counts for: that decides whether the opening balance holds it."""
    try:
        return datetime.fromisoformat(str(activity.raw.get("created_at") or ""))
    except ValueError:
        return moment_of(activity)


def _told_with_a_split(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """Cash in lieu beside a split that is not booked yet is booked together with it."""
    open_splits = {
        activity.symbol
        for activity in evidence.other_activities
        if activity.activity_type == "SPLIT" and not agrees(activity.symbol, record, evidence)
    }
    return frozenset(
        a.activity_id for a in evidence.other_activities if a.activity_type == "SPLIT" and a.symbol in open_splits
    )


def _entry(activity: BrokerActivity) -> Difference:
    amount = activity.net_amount or _ZERO
    word = _WORDS.get(activity.activity_type) or TRANSFERS.get(activity.activity_type) or "an entry"
    way = "received" if amount > 0 else "paid"
    of = f" of {activity.symbol}" if activity.symbol else ""
    return Difference(
        kind=Kind.CASH_ACTIVITY,
        subject=activity.activity_id,
        symbol=activity.symbol,
        local={"activity_id": "", "net_amount": "0"},
        broker={
            "activity_id": activity.activity_id,
            "activity_type": activity.activity_type,
            "day": activity.day[:10],
            "net_amount": plain(amount),
        },
        sentence=f"The account {way} ${abs(amount):,.2f}: {word}{of} ({activity.activity_type}) of "
        f"{activity.day[:10]}, which the cash ledger does not have.",
        dollars=abs(amount),
        activities=(activity,),
        holds_cursor_at=_moment(activity),
    )


# --- The cash itself ------------------------------------------------------------------------------------------


def is_unjudged(record: LocalRecord, evidence: BrokerEvidence) -> bool:
    """True while something else is open that could explain a difference of cash."""
    if record.cash is None or symbols_in_flight(record, evidence):
        return True
    young = evidence.read_started_at
    if any(fill.transaction_time >= young for fill in evidence.fills.values()):
        return True
    if any(fill.transaction_time >= young for fill in record.fills.values()):
        return True
    if any(key not in evidence.fills for key in _ours_in_window(record, evidence)):
        return True
    if any(_is_otherwise(key, record, evidence) for key in evidence.fills):
        return True
    symbols = set(record.positions) | set(evidence.positions) | set(record.ledgers)
    return any(not agrees(symbol, record, evidence) for symbol in symbols)


def _is_otherwise(key: str, record: LocalRecord, evidence: BrokerEvidence) -> bool:
    """A fill that both sides have with other values paid something else, too."""
    ours, theirs = record.fills.get(key), evidence.fills[key]
    return ours is not None and (ours.side, ours.qty, ours.price) != (theirs.side, theirs.qty, theirs.price)


def unjudged_cash(record: LocalRecord, evidence: BrokerEvidence) -> frozenset[str]:
    """The keys of differences that this reading cannot say anything about."""
    keys = frozenset({f"{Kind.CASH.value}:{SUBJECT}"})
    return keys if is_unjudged(record, evidence) else frozenset()


def _ours_in_window(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[str]:
    """Our fills of the time that was read: one that Alpaca does not have has moved no cash there."""
    after = evidence.activities_after
    for key, fill in record.fills.items():
        if after is None or fill.transaction_time > after:
            yield key


def missing_pay(record: LocalRecord, evidence: BrokerEvidence) -> Decimal:
    """What the fills that we lack have paid."""
    new = [fill for key, fill in evidence.fills.items() if key not in record.fills]
    return total_of((fill.side, fill.qty, fill.price) for fill in new).net


def _cash(
    new: list[BrokerActivity], books: CashBooks, record: LocalRecord, evidence: BrokerEvidence
) -> Iterator[Difference]:
    told = sum((activity.net_amount or _ZERO for activity in new), _ZERO) + missing_pay(record, evidence)
    expected, there = books.expected + told, evidence.account.cash
    gap = there - expected
    if abs(gap) <= books.tolerance:
        return
    more = "more" if gap > 0 else "less"
    beside = f", with ${told:.2f} of what is not recorded yet" if told else ""
    yield Difference(
        kind=Kind.CASH,
        subject=SUBJECT,
        symbol="",
        local={"cash": plain(expected)},
        broker={"cash": plain(there)},
        sentence=f"Alpaca has ${there:,.2f} in cash, ${abs(gap):,.2f} {more} than the entries and fills on record "
        f"lead to (${expected:,.2f}{beside}). No order, fill or entry explains it.",
        dollars=abs(gap),
    )


def _equity(record: LocalRecord, evidence: BrokerEvidence) -> Iterator[Difference]:
    account = evidence.account
    held = account.long_market_value + account.short_market_value
    gross = account.long_market_value - account.short_market_value
    gap = account.equity - account.cash - held
    if abs(gap) <= max(_LEAST_EQUITY_GAP, gross * _EQUITY_TOLERANCE) or symbols_in_flight(record, evidence):
        return
    yield Difference(
        kind=Kind.EQUITY,
        subject=SUBJECT,
        symbol="",
        local={"cash_and_positions": plain(account.cash + held)},
        broker={"equity": plain(account.equity)},
        sentence=f"Alpaca says an equity of ${account.equity:,.2f}; its own cash of ${account.cash:,.2f} and positions "
        f"worth ${held:,.2f} make ${account.cash + held:,.2f}, in the same answer.",
        dollars=abs(gap),
    )
