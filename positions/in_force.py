"""Which stop and target percentages are in force for a symbol, and which were when a position was opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from broker.models import Account
from broker.numbers import exact, plain
from positions.models import ParameterChange, RiskParameters


@dataclass(frozen=True, slots=True)
class Parameters:
    """Percent from the entry price, and in words which rule they come from."""

    stop_loss_pct: Decimal
    target_pct: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Percentages:
    stop_loss_pct: Decimal
    target_pct: Decimal

    def as_json(self) -> dict[str, str]:
        return {"stop_loss_pct": plain(self.stop_loss_pct) or "", "target_pct": plain(self.target_pct) or ""}


BUILT_IN = Percentages(Decimal(8), Decimal(16))


def source_of(symbol: str) -> str:
    """Name the rule for people; without a symbol that is the account's default."""
    return f"own parameters of {symbol}" if symbol else "default of the account"


def ensure_default_parameters(account: Account) -> RiskParameters:
    """Return the account's default, made from the built-in one when there is none yet."""
    found = RiskParameters.objects.filter(account=account, symbol="").first()
    return (
        found
        or RiskParameters.objects.get_or_create(
            account=account,
            symbol="",
            defaults={"stop_loss_pct": BUILT_IN.stop_loss_pct, "target_pct": BUILT_IN.target_pct},
        )[0]
    )


class ParameterBook:
    """The parameters of one account, now and at any earlier time. Two queries at most, made when first needed."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def now(self, symbol: str) -> Parameters:
        return _choose(symbol, self._current.get(symbol), self._current.get(""))

    def at(self, symbol: str, moment: datetime) -> Parameters:
        """Return what was in force for the symbol at that moment."""
        return _choose(symbol, self._own_at(symbol, moment), self._own_at("", moment))

    def of_round_trip(self, symbol: str, opened_at: datetime, closed_at: datetime | None) -> Parameters:
        """Return what a position of that time has: that of its opening, or of the last change that it followed."""
        return self.at(symbol, self.moved_at(symbol, opened_at, closed_at) or opened_at)

    def moved_at(self, symbol: str, opened_at: datetime, closed_at: datetime | None) -> datetime | None:
        """Return when a position of that time followed a change of the parameters last; None if it never did."""
        since = None
        for change in self._changes:
            while_open = opened_at < change.at and (closed_at is None or change.at < closed_at)
            if not (change.applied_to_open and while_open):
                continue
            if change.symbol == symbol or (not change.symbol and self._own_at(symbol, change.at) is None):
                since = change.at
        return since

    @cached_property
    def symbols(self) -> set[str]:
        """Symbols that have parameters of their own."""
        return {symbol for symbol in self._current if symbol}

    @cached_property
    def _current(self) -> Mapping[str, Percentages]:
        rows = RiskParameters.objects.filter(account=self._account)
        return {row.symbol: Percentages(row.stop_loss_pct, row.target_pct) for row in rows}

    @cached_property
    def _changes(self) -> list[ParameterChange]:
        return list(ParameterChange.objects.filter(account=self._account).defer("effects").order_by("at", "id"))

    def _own_at(self, symbol: str, moment: datetime) -> Percentages | None:
        for change in self._changes:
            if change.symbol == symbol and change.at > moment:
                return _from_json(change.before)
        return self._current.get(symbol)


def _choose(symbol: str, own: Percentages | None, default: Percentages | None) -> Parameters:
    if own is not None and symbol:
        return Parameters(own.stop_loss_pct, own.target_pct, source_of(symbol))
    if default is not None:
        return Parameters(default.stop_loss_pct, default.target_pct, source_of(""))
    return Parameters(BUILT_IN.stop_loss_pct, BUILT_IN.target_pct, "built-in default")


def _from_json(stored: Mapping[str, str] | None) -> Percentages | None:
    return Percentages(exact(stored["stop_loss_pct"]), exact(stored["target_pct"])) if stored else None
