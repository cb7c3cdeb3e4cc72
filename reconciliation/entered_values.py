"""Numbers that only a person knows: an exit price that no fill gives, a cost basis that no entry names.

What is entered repairs nothing by itself. The next run plans a fix with it, which is shown, approved, applied,
verified and undone like any other.
"""

import re
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, transaction

from audit import journal
from broker.models import Account
from broker.numbers import plain
from positions.models import Position, PriceBar
from reconciliation.entered_asking import asks_for
from reconciliation.entered_rows import EnteredValue
from reconciliation.errors import ReconciliationError
from reconciliation.evidence import EnteredPrice
from reconciliation.models import Drift

PERMISSION = "reconciliation.approve_fix"
#: As many as averages are kept with; no price is larger than the largest that an order may have.
PRICE_PLACES = 9
HIGHEST_PRICE = Decimal(10) ** 9
LONGEST_REASON = 300
_NUMBER = re.compile(r"[0-9]+(?:\.([0-9]+))?", re.ASCII)
#: Further than this from the latest price, as a part of it, a number is called odd.
_ODD = Decimal("0.5")


class ValueRefused(ReconciliationError):
    """What was typed cannot be taken; `field` is the one that it was typed into."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def read_price(text: str, name: str) -> Decimal:
    """Return the price that a person typed. Raises ValueRefused, which names the field and what is expected."""
    typed = text.strip()
    found = _NUMBER.fullmatch(typed)
    places = len(found[1].rstrip("0")) if found and found[1] else 0
    price = Decimal(typed) if found else Decimal(0)
    if not found or price <= 0 or price > HIGHEST_PRICE or places > PRICE_PLACES:
        raise ValueRefused(
            "price",
            f"{name}: expected dollars a share, above 0, such as 172.30, with at most {PRICE_PLACES} decimal places "
            f"and no separators; found {typed[:40] or 'nothing'}.",
        )
    return price


def read_reason(text: str) -> str:
    reason = " ".join(text.split())
    if not reason or len(reason) > LONGEST_REASON:
        found = f"{len(reason)} characters" if reason else "nothing"
        raise ValueRefused(
            "reason", f"Reason: expected where the number is from, in 1 to {LONGEST_REASON} characters; found {found}."
        )
    return reason


def enter_value(*, drift: Drift, price: str, reason: str, actor: str, now: datetime) -> EnteredValue:
    """Note the number in one transaction with its audit entry; the next run plans the fix with it.

    A number that was entered before ends with it. Raises ReconciliationError with a sentence when it is not taken.
    """
    asked = asks_for(drift)
    if asked is None:
        raise ReconciliationError(_why_not(drift))
    number, why = read_price(price, asked.name), read_reason(reason)
    doubt = doubt_about(drift.account, drift.symbol, number)
    try:
        with transaction.atomic():
            if not Drift.objects.filter(pk=drift.pk, state=Drift.State.OPEN).exists():
                raise ReconciliationError("It is settled by now: look at it again.")
            was = _end(drift, actor, now)
            value = EnteredValue.objects.create(
                drift=drift, price=number, reason=why, doubt=doubt, entered_by=actor, entered_at=now
            )
            _record(drift, actor, now, f"{asked.name} entered", was, number, why)
    except IntegrityError:
        raise ReconciliationError("Somebody else entered a number just now: look at it again.") from None
    return value


def withdraw_value(*, drift: Drift, actor: str, now: datetime) -> None:
    """The number counts no more; what is proposed is again what evidence gives."""
    asked = asks_for(drift)
    if asked is None:
        raise ReconciliationError(_why_not(drift))
    with transaction.atomic():
        was = _end(drift, actor, now)
        if was is None:
            raise ReconciliationError("No number is entered, so none was withdrawn.")
        _record(drift, actor, now, f"{asked.name} withdrawn", was, None, "")


def _end(drift: Drift, actor: str, now: datetime) -> Decimal | None:
    """End the number that counts; return it."""
    live = EnteredValue.objects.filter(drift=drift, ended_at__isnull=True)
    was: Decimal | None = live.values_list("price", flat=True).first()
    live.update(ended_at=now, ended_by=actor)
    return was


def _record(
    drift: Drift, actor: str, now: datetime, act: str, was: Decimal | None, number: Decimal | None, reason: str
) -> None:
    said = f" {plain(number)} dollars a share" if number is not None else ""
    journal.record(
        at=now,
        actor=actor,
        action="drift.value_entered" if number is not None else "drift.value_withdrawn",
        account=drift.account.slug,
        subject_type="drift",
        subject_id=drift.pk,
        summary=f"{act}{said}: {drift.sentence}",
        reason=reason,
        before={"price": plain(was)},
        after={"price": plain(number)},
    )


def _why_not(drift: Drift) -> str:
    if drift.fix is not None and drift.fix.state in {"approved", "applied"}:
        return f"Fix {drift.fix_id} of it is {drift.fix.get_state_display().lower()} already: wait what comes of it."
    if drift.state != Drift.State.OPEN:
        return f"It is {drift.get_state_display().lower()}: no number is needed."
    if drift.cause_id is not None:
        return "It follows from another difference: repair that one."
    return "No number is needed for it: evidence gives what there is to know."


def doubt_about(account: Account, symbol: str, price: Decimal) -> str:
    """Say that the number lies far from the latest price, if it does. It is taken all the same."""
    latest = latest_price(account, symbol)
    if latest is None or abs(price - latest) <= latest * _ODD:
        return ""
    return f"{plain(price)} is {price / latest:.2f} times the latest price of {symbol}, {plain(latest)}: is it right?"


def latest_price(account: Account, symbol: str) -> Decimal | None:
    held = Position.objects.filter(
        account=account, symbol=symbol, last_price__isnull=False, last_price_at__isnull=False
    )
    found = list(held.order_by("-last_price_at").values_list("last_price_at", "last_price")[:1])
    bars = PriceBar.objects.filter(account=account, symbol=symbol).order_by("-starts_at")
    found += bars.values_list("starts_at", "close")[:1]
    return max(found)[1] if found else None


def entered_prices(account: Account) -> dict[str, EnteredPrice]:
    """What counts now, by the key of the difference that it was entered for."""
    live = EnteredValue.objects.filter(drift__account=account, ended_at__isnull=True)
    rows = live.exclude(drift__state=Drift.State.RESOLVED).values_list("drift__key", "price", "entered_by", "reason")
    return {key: EnteredPrice(price=price, entered_by=by, reason=why) for key, price, by, why in rows}
