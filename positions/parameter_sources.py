"""Where stop and target percentages come from: the symbol's own, the account's default, the built-in ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from broker.models import Account
from positions.in_force import BUILT_IN
from positions.models import ParameterChange, RiskParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One rule, in the order in which they are asked. `row_id`: the row to edit, None when there is none."""

    name: str
    symbol: str | None  # "" is the account's default, None is built in
    stop_loss_pct: Decimal | None
    target_pct: Decimal | None
    is_in_force: bool
    row_id: int | None
    changed_at: datetime | None
    changed_by: str

    @property
    def is_set(self) -> bool:
        return self.stop_loss_pct is not None


def parameter_sources(account: Account, symbol: str, changes: Iterable[ParameterChange]) -> list[Source]:
    """Return the three rules, the first that is set being in force. One query; `changes` newest first."""
    rows = {row.symbol: row for row in RiskParameters.objects.filter(account=account, symbol__in=[symbol, ""])}
    latest: dict[str, ParameterChange] = {}
    for change in changes:
        latest.setdefault(change.symbol, change)
    own, default = rows.get(symbol), rows.get("")
    return [
        _source(f"Own parameters of {symbol}", symbol, own, latest.get(symbol), is_in_force=own is not None),
        _source("Default of the account", "", default, latest.get(""), is_in_force=own is None and default is not None),
        Source(
            name="Built in",
            symbol=None,
            stop_loss_pct=BUILT_IN.stop_loss_pct,
            target_pct=BUILT_IN.target_pct,
            is_in_force=own is None and default is None,
            row_id=None,
            changed_at=None,
            changed_by="",
        ),
    ]


def _source(
    name: str, symbol: str, row: RiskParameters | None, change: ParameterChange | None, *, is_in_force: bool
) -> Source:
    return Source(
        name=name,
        symbol=symbol,
        stop_loss_pct=row.stop_loss_pct if row else None,
        target_pct=row.target_pct if row else None,
        is_in_force=is_in_force,
        row_id=row.pk if row else None,
        changed_at=change.at if change else None,
        changed_by=change.actor if change else "",
    )
