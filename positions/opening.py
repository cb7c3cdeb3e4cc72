"""Book what no fill explains: an opening balance, a correction, an average price. Explicit, signed, with a reason."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction

from audit import journal
from broker.models import Account
from broker.numbers import plain
from positions.errors import InvalidAdjustment
from positions.models import Adjustment
from positions.rebuilding import rebuild_position

Kind = Adjustment.Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    kind: Adjustment.Kind
    symbol: str
    qty: Decimal
    price: Decimal
    effective_at: datetime
    reason: str
    is_estimated: bool


def book_opening_balance(
    *,
    account: Account,
    symbol: str,
    qty: Decimal,
    price: Decimal,
    effective_at: datetime,
    reason: str,
    is_estimated: bool,
    actor: str,
    now: datetime,
) -> Adjustment:
    """Book a position that was held before its fills are known. `qty` is signed: negative for a short.

    The same booking twice is one booking: the second call returns the first one's row and changes nothing.
    """
    line = _Line(
        kind=Kind.OPENING,
        symbol=symbol,
        qty=qty,
        price=price,
        effective_at=effective_at,
        reason=reason,
        is_estimated=is_estimated,
    )
    return _book(account, line, actor, now)


def book_correction(
    *,
    account: Account,
    symbol: str,
    qty: Decimal,
    price: Decimal,
    effective_at: datetime,
    reason: str,
    is_estimated: bool,
    actor: str,
    now: datetime,
) -> Adjustment:
    """Add a signed quantity at a price, like a fill that Alpaca does not show; what it closes realises profit.

    A price of 0 adds shares without cost, as a split does. Once, like every booking here.
    """
    line = _Line(
        kind=Kind.CORRECTION,
        symbol=symbol,
        qty=qty,
        price=price,
        effective_at=effective_at,
        reason=reason,
        is_estimated=is_estimated,
    )
    return _book(account, line, actor, now)


def book_average_price(
    *,
    account: Account,
    symbol: str,
    price: Decimal,
    effective_at: datetime,
    reason: str,
    is_estimated: bool,
    actor: str,
    now: datetime,
) -> Adjustment:
    """Set the average price of what is open at that time, as Alpaca's own morning job does; realises nothing."""
    line = _Line(
        kind=Kind.AVERAGE,
        symbol=symbol,
        qty=Decimal(0),
        price=price,
        effective_at=effective_at,
        reason=reason,
        is_estimated=is_estimated,
    )
    return _book(account, line, actor, now)


def _book(account: Account, line: _Line, actor: str, now: datetime) -> Adjustment:
    _check(line, now)
    with transaction.atomic():
        adjustment, is_new = Adjustment.objects.get_or_create(
            account=account,
            reference=_reference(line),
            defaults={
                "kind": line.kind,
                "symbol": line.symbol,
                "qty": line.qty,
                "price": line.price,
                "effective_at": line.effective_at,
                "reason": line.reason.strip(),
                "is_estimated": line.is_estimated,
                "recorded_at": now,
                "recorded_by": actor,
            },
        )
        if is_new:
            rebuild_position(account=account, symbol=line.symbol, now=now)
            _journal(adjustment)
    return adjustment


def _check(line: _Line, now: datetime) -> None:
    if not line.symbol or line.symbol != line.symbol.strip().upper() or len(line.symbol) > 32:
        raise InvalidAdjustment("symbol", f"A symbol is 1 to 32 capital letters, was {line.symbol!r}.")
    if not line.qty.is_finite() or (line.kind != Kind.AVERAGE and not line.qty):
        raise InvalidAdjustment("qty", "The quantity must be a number other than 0, negative for a short.")
    least = "0 or more" if line.kind == Kind.CORRECTION else "more than 0"
    if not line.price.is_finite() or line.price < 0 or (line.price == 0 and line.kind != Kind.CORRECTION):
        raise InvalidAdjustment("price", f"The price must be {least} dollars a share.")
    if line.effective_at.tzinfo is None or line.effective_at > now:
        raise InvalidAdjustment("effective_at", "The time must have a time zone and not lie in the future.")
    if not line.reason.strip() or len(line.reason) > 300:
        raise InvalidAdjustment("reason", "Say why, in 1 to 300 characters: the ledger keeps it.")


def _reference(line: _Line) -> str:
    """Made from what is booked, so that the same booking has the same reference wherever it is made."""
    at = line.effective_at.astimezone(UTC).isoformat()
    said = "|".join([line.kind, line.symbol, plain(line.qty) or "", plain(line.price) or "", at])
    return f"{line.kind}:{line.symbol}:{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _journal(adjustment: Adjustment) -> None:
    guess = " (estimated)" if adjustment.is_estimated else ""
    journal.record(
        at=adjustment.recorded_at,
        actor=adjustment.recorded_by,
        action="adjustment.booked",
        account=adjustment.account.slug,
        subject_type="adjustment",
        subject_id=adjustment.pk,
        summary=f"{adjustment}{guess}",
        reason=adjustment.reason,
        after={
            "symbol": adjustment.symbol,
            "kind": adjustment.kind,
            "qty": plain(adjustment.qty),
            "price": plain(adjustment.price),
            "effective_at": adjustment.effective_at.isoformat(),
            "is_estimated": adjustment.is_estimated,
        },
    )
