"""Our side of cash and of shares without a trade: loaded for a run, and opened by the first one that finds no fault."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.fields.json import KeyTextTransform

from audit import journal
from broker.models import Account
from broker.numbers import plain
from orders.models import Order
from positions.cash import book_activity, book_opening, paid_by_fills
from positions.models import Adjustment, CashEntry, Position
from reconciliation.evidence import BrokerEvidence, LocalRecord
from reconciliation.position_comparison import symbols_in_flight
from reconciliation.without_trade import ACTIVITY_REFERENCE

ACTOR = "system:reconciliation"
_IDS_IN_ONE_QUERY = 2000


def booked_activities(account: Account, evidence: BrokerEvidence) -> frozenset[str]:
    """Return which of Alpaca's entries the ledger or the cash ledger has."""
    ids = [activity.activity_id for activity in evidence.other_activities]
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_IN_ONE_QUERY):
        some = ids[start : start + _IDS_IN_ONE_QUERY]
        found.update(
            CashEntry.objects.filter(account=account, activity_id__in=some).values_list("activity_id", flat=True)
        )
        references = {reference: key for key in some for reference in _references(key)}
        lines = Adjustment.objects.filter(account=account, reference__in=list(references))
        found.update(references[reference] for reference in lines.values_list("reference", flat=True))
    return frozenset(found)


def _references(activity_id: str) -> tuple[str, ...]:
    name = f"{ACTIVITY_REFERENCE}{activity_id}"
    return (name[:100], f"{name[:90]}:in", f"{name[:90]}:out")


def asset_ids(account: Account, stored: Iterable[Position], evidence: BrokerEvidence) -> dict[str, str]:
    """Return Alpaca's id of each symbol that we hold and it does not show: it may be called something else now."""
    gone = sorted({row.symbol for row in stored if row.qty and row.symbol not in evidence.positions})
    rows = Order.objects.filter(account=account, symbol__in=gone).exclude(broker_order_id="")
    named = rows.annotate(asset_id=KeyTextTransform("asset_id", "raw")).order_by("pk")
    return {symbol: asset_id for symbol, asset_id in named.values_list("symbol", "asset_id") if asset_id}


def add_up_to_open(account: Account, record: LocalRecord) -> None:
    """Add up what all fills paid where an opening balance may follow. Call it before anybody has to wait for it."""
    if record.cash is None:
        paid_by_fills(account, anew=True)


def open_cash_books(*, account: Account, record: LocalRecord, evidence: BrokerEvidence, now: datetime) -> None:
    """Book the opening balance, and Alpaca's entries up to it. Call it in the transaction of a run that is in sync.

    Only where nothing was moving: what the balance holds by mistake would be missing for ever.
    """
    young = evidence.read_started_at - timedelta(seconds=settings.QUIET_PERIOD_SECONDS)
    is_moving = any(fill.transaction_time >= young for fill in evidence.fills.values())
    is_moving = is_moving or any(fill.transaction_time >= young for fill in record.fills.values())
    if record.cash is not None or is_moving or symbols_in_flight(record, evidence):
        return
    for activity in evidence.other_activities:
        if activity.net_amount and activity.activity_type != "FILL" and activity.raw.get("status") != "canceled":
            book_activity(account=account, activity=activity, actor=ACTOR, now=now)
    entry = book_opening(
        account=account, cash=evidence.account.cash, read_at=evidence.read_started_at, actor=ACTOR, now=now
    )
    if entry is not None:
        journal.record(
            at=now,
            actor=ACTOR,
            action="cash.opened",
            account=account.slug,
            subject_type="cash_entry",
            subject_id=entry.pk,
            summary=f"The cash ledger of {account.slug} was opened: ${entry.net_amount:,.2f} before all fills.",
            after={"cash": plain(evidence.account.cash), "opening": plain(entry.net_amount)},
        )
