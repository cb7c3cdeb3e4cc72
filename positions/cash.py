"""The cash ledger in the database: what came and went without a fill, and what the fills paid."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from broker.models import Account
from broker.numbers import plain
from broker.times import NEW_YORK
from broker.types import BrokerActivity
from orders.models import Fill
from positions.cash_sums import CashBooks, Paid, paid_for, total_of
from positions.models import Adjustment, CashEntry, CashTally

OPENING = "OPENING"
CORRECTION = "CORRECTION"
_ZERO = Decimal(0)
#: A subtotal is saved when so many fills came since the last one.
WORTH_SAVING = 500
FILLS_AT_ONCE = 2000
#: Alpaca lists a trade late, but not later than this.
GUESSES_SETTLE = timedelta(days=7)


def paid_by_fills(account: Account, *, anew: bool = False) -> Paid:
    """Return what all booked fills paid. Its cost follows what came since the last time, unless added up anew.

    The subtotal is not checked here, because counting costs what the history is long: whoever finds money that
    nothing explains adds up anew before saying so, and so does the run at the close. That mends the subtotal, too.
    """
    if anew:
        forget_subtotal(account)
    tally = CashTally.objects.filter(account=account).first()
    known, through = Paid(), 0
    if tally is not None:
        known, through = Paid(fills=tally.fills, net=tally.net, uneven=tally.uneven), tally.through_fill
    total, last = known, through
    while rows := _executions(account, after=last):
        total, last = total + total_of((side, qty, price) for side, qty, price, _ in rows), rows[-1][3]
    if total.fills - known.fills >= WORTH_SAVING:
        values = {"through_fill": last, "fills": total.fills, "net": total.net, "uneven": total.uneven}
        CashTally.objects.bulk_create(
            [CashTally(account=account, **values)],
            update_conflicts=True,
            unique_fields=["account"],
            update_fields=list(values),
        )
    return total


def _executions(account: Account, *, after: int) -> list[tuple[str, Decimal, Decimal, int]]:
    """Side, quantity, price and key of the next fills: some at a time, for all of them are as many as the history."""
    mine = Fill.objects.filter(account=account, pk__gt=after).order_by("pk")
    return list(mine.values_list("side", "qty", "price", "pk")[:FILLS_AT_ONCE])


def paid_by_corrections(account: Account) -> Decimal:
    """Return what corrections paid: each stands for a trade that Alpaca does not list, and is paid for like one."""
    lines = Adjustment.objects.filter(account=account, kind=Adjustment.Kind.CORRECTION).values_list("qty", "price")
    return sum((paid_for("buy", qty, price).net for qty, price in lines), _ZERO)


def forget_subtotal(account: Account) -> None:
    """Call it wherever a fill is taken out of the ledger or put back."""
    CashTally.objects.filter(account=account).delete()


def cash_books(account: Account, *, anew: bool = False) -> CashBooks | None:
    """Return what the cash must be, or None while the cash ledger has no opening balance: then nobody can know."""
    entries = list(CashEntry.objects.filter(account=account))
    opening = next((entry for entry in entries if entry.activity_type == OPENING), None)
    if opening is None:
        return None
    paid = paid_by_fills(account, anew=anew)
    return CashBooks(
        opened_at=datetime.fromisoformat(opening.raw["read_at"]),
        expected=sum((entry.net_amount for entry in entries), _ZERO) + paid.net + paid_by_corrections(account),
        uneven=paid.uneven,
    )


def book_opening(*, account: Account, cash: Decimal, read_at: datetime, actor: str, now: datetime) -> CashEntry | None:
    """Book the balance that makes the sum right at `read_at`. Call it in a transaction.

    What the fills paid must have been added up anew before (`paid_by_fills`): that takes as long as the history is.

    None if there is one, or while a guess stands in for a trade that may still come to light: its true price would
    be missing for ever.
    """
    young = Adjustment.objects.filter(account=account, recorded_at__gt=now - GUESSES_SETTLE)
    guesses = young.filter(kind=Adjustment.Kind.CORRECTION, is_estimated=True)
    if CashEntry.objects.filter(account=account, activity_type=OPENING).exists() or guesses.exists():
        return None
    booked = sum(CashEntry.objects.filter(account=account).values_list("net_amount", flat=True), _ZERO)
    return CashEntry.objects.create(
        account=account,
        activity_id="opening",
        activity_type=OPENING,
        day=read_at.astimezone(NEW_YORK).date(),
        net_amount=cash - booked - paid_by_fills(account).net - paid_by_corrections(account),
        description="The balance before everything else that the books know.",
        recorded_at=now,
        recorded_by=actor,
        raw={"read_at": read_at.isoformat(), "cash": plain(cash)},
    )


def book_activity(*, account: Account, activity: BrokerActivity, actor: str, now: datetime) -> CashEntry | None:
    """Copy one of Alpaca's entries, or None if it is booked already."""
    entry, is_new = CashEntry.objects.get_or_create(
        account=account,
        activity_id=activity.activity_id,
        defaults={
            "activity_type": activity.activity_type[:20],
            "day": _day(activity, now),
            "symbol": activity.symbol[:32],
            "net_amount": activity.net_amount or _ZERO,
            "description": str(activity.raw.get("description") or "")[:300],
            "recorded_at": now,
            "recorded_by": actor,
            "raw": dict(activity.raw),
        },
    )
    return entry if is_new else None


def book_correction(
    *, account: Account, amount: Decimal, reference: str, reason: str, actor: str, now: datetime
) -> CashEntry:
    """Book money that nothing explains, with the reason that a person gave."""
    return CashEntry.objects.create(
        account=account,
        activity_id=reference,
        activity_type=CORRECTION,
        day=now.astimezone(NEW_YORK).date(),
        net_amount=amount,
        description=reason[:300],
        is_estimated=True,
        recorded_at=now,
        recorded_by=actor,
    )


def _day(activity: BrokerActivity, now: datetime) -> date:
    try:
        return date.fromisoformat(activity.day[:10])
    except ValueError:
        return now.astimezone(NEW_YORK).date()
