"""Change stop and target parameters: shown on the open positions first, then done as shown, never on closed ones."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from audit import journal
from broker.models import Account
from broker.numbers import plain
from positions.errors import EffectsMoved, InvalidParameters
from positions.in_force import ParameterBook, Parameters, Percentages, ensure_default_parameters, source_of
from positions.models import ParameterChange, Position, RiskParameters
from positions.projecting import LEVELS, apply_levels
from positions.turns import take_turn

__all__ = [
    "Effect", "Parameters", "change_parameters", "check_percentages", "ensure_default_parameters", "fingerprint",
    "parameters_for", "parameters_for_symbols", "preview_change", "preview_removal", "remove_parameters",
]  # fmt: skip

_MOST = Decimal(1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a change does to one open position. Prices in dollars a share, risk in dollars."""

    position_id: int
    symbol: str
    qty: Decimal
    stop_loss_before: Decimal | None
    stop_loss_after: Decimal
    target_before: Decimal | None
    target_after: Decimal
    total_risk_before: Decimal | None
    total_risk_after: Decimal

    def as_json(self) -> dict[str, object]:
        return {name: plain(value) if isinstance(value, Decimal) else value for name, value in asdict(self).items()}


def parameters_for(account: Account, symbol: str) -> Parameters:
    """Return what a position opened now would get: the symbol's own, else the account's default."""
    return ParameterBook(account).now(symbol)


def parameters_for_symbols(account: Account, symbols: Collection[str]) -> dict[str, Parameters]:
    """Return the same for many symbols, in one query."""
    book = ParameterBook(account)
    return {symbol: book.now(symbol) for symbol in symbols}


def check_percentages(*, stop_loss_pct: Decimal, target_pct: Decimal) -> None:
    """Raise InvalidParameters unless both can be percentages from an entry price."""
    for field, name, value in (("stop_loss_pct", "stop", stop_loss_pct), ("target_pct", "target", target_pct)):
        if not value.is_finite() or value <= 0:
            raise InvalidParameters(field, f"The {name} must be more than 0 % from the entry.")
    if stop_loss_pct >= 100:
        raise InvalidParameters("stop_loss_pct", "The stop must be less than 100 %: a long would never reach it.")
    if target_pct > _MOST:
        raise InvalidParameters("target_pct", f"The target can be at most {_MOST} %: is that a slip of the keyboard?")
    # Only now: the decimals of a number like 1e400 cannot be counted.
    for field, name, value in (("stop_loss_pct", "stop", stop_loss_pct), ("target_pct", "target", target_pct)):
        if value != round(value, 2):
            raise InvalidParameters(field, f"The {name} takes at most two decimals: {plain(value)} has more.")


def preview_change(*, account: Account, symbol: str = "", stop_loss_pct: Decimal, target_pct: Decimal) -> list[Effect]:
    """Return what these parameters would do to the open positions that take them. Changes nothing."""
    return _effects(_pairs(_Wish(account, symbol, Percentages(stop_loss_pct, target_pct))))


def preview_removal(*, account: Account, symbol: str) -> list[Effect]:
    """Return what falling back to the account's default would do to the symbol's open position."""
    return _effects(_pairs(_Wish(account, symbol, None)))


def change_parameters(
    *,
    account: Account,
    symbol: str = "",
    stop_loss_pct: Decimal,
    target_pct: Decimal,
    actor: str,
    now: datetime,
    apply_to_open: bool,
    expected: str | None = None,
) -> ParameterChange | None:
    """Set the account's default, or one symbol's own parameters; None if that is how they are already.

    `expected` is the fingerprint of the effects that were shown: if they would be others now, nothing is changed
    and EffectsMoved is raised.
    """
    wish = _Wish(account, symbol, Percentages(stop_loss_pct, target_pct))
    return _change(wish, actor, now, apply_to_open=apply_to_open, expected=expected)


def remove_parameters(
    *, account: Account, symbol: str, actor: str, now: datetime, apply_to_open: bool, expected: str | None = None
) -> ParameterChange | None:
    """Take a symbol's own parameters away: it falls back to the account's default, which cannot be removed."""
    return _change(_Wish(account, symbol, None), actor, now, apply_to_open=apply_to_open, expected=expected)


def fingerprint(effects: Sequence[Effect]) -> str:
    text = json.dumps([effect.as_json() for effect in effects], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Wish:
    """Whose parameters should be what; None: none of its own."""

    account: Account
    symbol: str
    percentages: Percentages | None


#: An open position as it is, and as it would be.
_Pair = tuple[Position, Position]


def _pairs(wish: _Wish) -> list[_Pair]:
    if wish.percentages is None and not wish.symbol:
        raise InvalidParameters("symbol", "The default of an account can be changed but not removed.")
    if wish.percentages is not None:
        check_percentages(stop_loss_pct=wish.percentages.stop_loss_pct, target_pct=wish.percentages.target_pct)
    book = ParameterBook(wish.account)
    taking = Position.objects.open().filter(account=wish.account).order_by("symbol")
    taking = taking.filter(symbol=wish.symbol) if wish.symbol else taking.exclude(symbol__in=book.symbols)
    if wish.percentages is None:
        parameters = book.now("")
    else:
        parameters = Parameters(wish.percentages.stop_loss_pct, wish.percentages.target_pct, source_of(wish.symbol))
    return [(row, _as_it_would_be(row, parameters)) for row in taking]


def _as_it_would_be(row: Position, parameters: Parameters) -> Position:
    if row.side == "short" and parameters.target_pct >= 100:
        text = f"The target must be less than 100 % while {row.symbol} is held short: no price falls below 0."
        raise InvalidParameters("target_pct", text)
    after = Position(pk=row.pk, symbol=row.symbol, side=row.side, qty=row.qty, avg_entry_price=row.avg_entry_price)
    after.stop_loss_pct, after.target_pct = parameters.stop_loss_pct, parameters.target_pct
    after.parameters_from = parameters.source
    apply_levels(after)
    return after


def _effects(pairs: Sequence[_Pair]) -> list[Effect]:
    return [
        Effect(
            position_id=before.pk,
            symbol=before.symbol,
            qty=before.qty,
            stop_loss_before=before.stop_loss,
            stop_loss_after=after.stop_loss,
            target_before=before.target,
            target_after=after.target,
            total_risk_before=before.total_risk,
            total_risk_after=after.total_risk,
        )
        for before, after in pairs
    ]


def _change(
    wish: _Wish, actor: str, now: datetime, *, apply_to_open: bool, expected: str | None
) -> ParameterChange | None:
    with transaction.atomic():
        take_turn(wish.account)
        pairs = _pairs(wish)
        if expected is not None and expected != fingerprint(_effects(pairs)):
            raise EffectsMoved("The open positions have changed since they were shown. Look at the effects again.")
        moving = [pair for pair in pairs if _levels(pair[0]) != _levels(pair[1])] if apply_to_open else []
        before = _store(wish, now)
        if before == wish.percentages and not moving:
            return None
        _move([after for _, after in moving], now)
        change = ParameterChange.objects.create(
            account=wish.account,
            symbol=wish.symbol,
            at=now,
            actor=actor,
            before=before and before.as_json(),
            after=wish.percentages and wish.percentages.as_json(),
            applied_to_open=apply_to_open,
            effects=[effect.as_json() for effect in _effects(moving)],
        )
        _journal(change)
        return change


def _store(wish: _Wish, now: datetime) -> Percentages | None:
    """Write the row, or remove it; return what it said before."""
    mine = RiskParameters.objects.filter(account=wish.account, symbol=wish.symbol)
    row = mine.first()
    before = Percentages(row.stop_loss_pct, row.target_pct) if row else None
    if wish.percentages is None:
        mine.delete()
    elif wish.percentages != before:
        values = {**asdict(wish.percentages), "updated_at": now}
        RiskParameters.objects.update_or_create(account=wish.account, symbol=wish.symbol, defaults=values)
    return before


def _levels(row: Position) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in LEVELS)


def _move(rows: Sequence[Position], now: datetime) -> None:
    for row in rows:
        row.rebuilt_at = now
    if rows:
        Position.objects.bulk_update(rows, [*LEVELS, "rebuilt_at"])


def _journal(change: ParameterChange) -> None:
    said = "removed"
    if change.after:
        said = f"stop {change.after['stop_loss_pct']} %, target {change.after['target_pct']} %"
    followed = f"{len(change.effects)} open positions recalculated" if change.applied_to_open else "open ones kept"
    journal.record(
        at=change.at,
        actor=change.actor,
        action="parameters.changed" if change.after else "parameters.removed",
        account=change.account.slug,
        subject_type="parameters",
        subject_id=change.symbol or "default",
        summary=f"Parameters of {change.symbol or 'the account'}: {said}; {followed}",
        before=change.before,
        after=change.after,
    )
