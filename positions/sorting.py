"""What the database sorts the list of positions by. Floats are good enough for an order, and for nothing else."""

from collections.abc import Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    Case,
    Expression,
    ExpressionWrapper,
    F,
    FloatField,
    Func,
    IntegerField,
    Value,
    When,
)
from django.db.models.functions import Abs, Cast, Coalesce, NullIf
from django.db.models.sql.compiler import SQLCompiler


class Elapsed(Func):
    """Days from one time to another. Django would subtract on SQLite by calling Python for every row."""

    output_field = FloatField()
    arity = 2

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        template = "(EXTRACT(EPOCH FROM -(%(expressions)s)) / 86400)"
        return super().as_sql(compiler, connection, template=template, arg_joiner=" - ", **extra)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        template = "(-julianday(%(expressions)s))"
        return super().as_sql(compiler, connection, template=template, arg_joiner=") + julianday(", **extra)


def _float(name: str) -> Expression:
    return Cast(name, FloatField())


def _share(part: Any, whole: Any) -> Expression:
    return ExpressionWrapper(part / NullIf(whole, 0.0), FloatField())


def _in_state(state: str, value: Any) -> Expression:
    return Case(When(state=state, then=value), output_field=FloatField())


def _by_side(of_long: Any, of_short: Any) -> Expression:
    return Case(When(side="long", then=of_long), default=of_short, output_field=FloatField())


_VALUE = _float("qty") * _float("last_price")
_ON_PAPER = _VALUE - _float("cost_basis")
_TAKEN = _float("realized_pl")
_RISKED = ExpressionWrapper(_float("risk_per_share") * _float("entry_qty"), FloatField())
_LAST, _STOP, _TARGET = _float("last_price"), _float("stop_loss"), _float("target")

#: By the name of the column: what is computed from several columns of the database.
COMPUTED: dict[str, Expression] = {
    "market_value": _in_state("open", _VALUE),
    "unrealized_pl": _in_state("open", _ON_PAPER),
    "unrealized_pl_pct": _in_state("open", _share(_ON_PAPER, Abs(_float("cost_basis")))),
    "realized_pl_pct": _in_state("closed", _share(_TAKEN, _float("avg_entry_price") * _float("entry_qty"))),
    "r_multiple": _in_state("closed", _share(_TAKEN, _RISKED)),
    "stop_distance": _in_state("open", _share(_by_side(_LAST - _STOP, _STOP - _LAST), _LAST)),
    "target_distance": _in_state("open", _share(_by_side(_TARGET - _LAST, _LAST - _TARGET), _LAST)),
    "initial_risk": _RISKED,
    "age_seconds": Elapsed(F("opened_at"), Coalesce(F("closed_at"), F("seen_at"))),
}
#: By the name of the column: a column of the database that is text or time.
STORED = {
    "symbol": "symbol",
    "status": "state",
    "drifts": "drift_count",
    "side": "side",
    "opened_at": "opened_at",
    "closed_at": "closed_at",
}
#: Columns that hold exact numbers.
EXACT = frozenset({
    "qty", "entry_qty", "avg_entry_price", "avg_exit_price", "last_price", "realized_pl", "stop_loss", "target",
    "total_risk",
})  # fmt: skip


def sort_of(name: str) -> dict[str, Any]:
    """Return what a column of the list says about its sorting."""
    if name in EXACT:
        return {"sort_field": name, "is_decimal": True}
    return {"sort_field": COMPUTED.get(name) or STORED.get(name, ""), "then": () if name == "symbol" else ("symbol",)}


def counted(drifts: Mapping[str, int]) -> Expression:
    """Say how many each symbol has, grouped by the number: nearly all that have any have one."""
    symbols: dict[int, list[str]] = {}
    for symbol, count in drifts.items():
        symbols.setdefault(count, []).append(symbol)
    cases = [When(symbol__in=names, then=Value(count)) for count, names in symbols.items()]
    return Case(*cases, default=Value(0), output_field=IntegerField()) if cases else Value(0, IntegerField())
