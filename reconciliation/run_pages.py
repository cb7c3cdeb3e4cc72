"""What the page of a run shows: its proof of completeness, what it found, its report, its picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q
from django.http import QueryDict
from django.utils import timezone

from reconciliation.list_counts import in_reading_order
from reconciliation.listing import seconds_of
from reconciliation.models import Drift, Fix, Run, RunSnapshot
from reconciliation.report import build_report
from reconciliation.time_travel import sheets_of, symbols_in
from reconciliation.under_way import progress_of

_ASKED_AGAIN = "After the last page Alpaca was asked once more, and nothing newer came."
#: Why nothing can follow the last row of a list.
HOW_PROVEN = {
    "open_orders": "A page that is not full is the last, and each live order that was read elsewhere was in it.",
    "orders": f"{_ASKED_AGAIN} Each order that we know of in the window was in it, or was asked for by its id.",
    "orders_by_id": "Each was asked for by its own id: it is there, or Alpaca says that it is not.",
    "activities": "Its fills add up to what the orders and positions say, or Alpaca was asked once more for newer.",
    "positions": "Their values add up to the account's own, and each that we hold and the list left out was asked for.",
}
#: From where on a list was read; the others are read whole, as they are now.
_WINDOW_OF = {"orders": "orders_after", "activities": "activities_after"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one list of Alpaca's was read to: None where that has no meaning."""

    name: str
    pages: int | None
    rows: int | None
    last_cursor: str
    has_window: bool
    since: datetime | None  # None with a window: from the beginning
    began_at: datetime | None
    ended_at: datetime | None
    how: str  # empty: its end was not proven


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    number: int
    began_at: datetime | None
    ended_at: datetime | None
    proofs: list[Proof]
    is_last: bool

    @property
    def broke_off(self) -> bool:
        return any(not proof.how for proof in self.proofs)


def run_context(run: Run) -> dict[str, Any]:
    is_over = run.state not in {Run.State.QUEUED, Run.State.RUNNING}
    return {
        "run": run,
        "is_over": is_over,
        "progress": None if is_over else progress_of(run, timezone.now()),
        "seconds": seconds_of(run),
        "readings": _readings(run),
        "window": _window(run),
        "has_picture": RunSnapshot.objects.filter(run=run).exists(),
        "causes": _causes(run),
        "fixes": list(Fix.objects.filter(Q(run=run) | Q(verification_run=run)).defer("plan", "undo_plan")),
        "report": build_report(run) if is_over else None,
    }


#: More causes than this in one run are a story for the CSV and the report, not for one page.
CAUSES_SHOWN = 200


def _causes(run: Run) -> list[Drift]:
    """What the run showed: seen first in it or before, and last in it or after. A run's drifts bear its own time."""
    if run.finished_at is None:
        return []
    seen = Drift.objects.filter(
        account=run.account, first_seen_at__lte=run.finished_at, last_seen_at__gte=run.finished_at
    )
    followers = Prefetch("consequences", seen.defer("evidence").order_by("pk"))
    return list(seen.roots().select_related("fix").defer("evidence").prefetch_related(followers)[:CAUSES_SHOWN])


# --- The proof ------------------------------------------------------------------------------------------------


def _readings(run: Run) -> list[Reading]:
    """Every reading of the run, the judged one last. Runs of before noted only the last one."""
    noted = run.completeness.get("readings") or []
    if not noted:
        lists = {name: counts for name, counts in run.completeness.items() if name != "window"}
        noted = [{"lists": lists}] if lists else []
    window = _window(run)
    return [
        Reading(
            number=number,
            began_at=_moment(reading.get("began_at")),
            ended_at=_moment(reading.get("ended_at")),
            proofs=_proofs(reading, window),
            is_last=number == len(noted),
        )
        for number, reading in enumerate(noted, start=1)
    ]


def _proofs(reading: Mapping[str, Any], window: Mapping[str, datetime | None]) -> list[Proof]:
    found = [
        _proof(name, counts, window, how=HOW_PROVEN.get(name, _ASKED_AGAIN))
        for name, counts in in_reading_order(reading["lists"])
        if isinstance(counts, dict)
    ]
    if broken_off := reading.get("broken_off"):
        found.append(_proof(broken_off["name"], broken_off, window, how=""))
    return found


def _proof(name: str, counts: Mapping[str, Any], window: Mapping[str, datetime | None], *, how: str) -> Proof:
    bound = _WINDOW_OF.get(name, "")
    return Proof(
        name=name.replace("_", " "),
        pages=counts.get("pages"),
        rows=counts.get("rows"),
        last_cursor=str(counts.get("last_cursor", "")),
        has_window=bound in window,
        since=window.get(bound),
        began_at=_moment(counts.get("began_at")),
        ended_at=_moment(counts.get("ended_at")),
        how=how,
    )


def _window(run: Run) -> dict[str, datetime | None]:
    window = run.completeness.get("window") or {}
    return {name: _moment(text) for name, text in window.items()}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


# --- The picture ----------------------------------------------------------------------------------------------


def picture_context(run: Run, snapshot: RunSnapshot | None, params: QueryDict) -> dict[str, Any]:
    """Both sides as the run saw them, of ?symbol= or of all, with ?show=differences only those."""
    if snapshot is None:
        return {"run": run, "snapshot": None}
    local, broker = snapshot.local, snapshot.broker
    symbols, symbol = symbols_in(local, broker), params.get("symbol", "").strip().upper()
    only = params.get("show") == "differences"
    return {
        "run": run,
        "snapshot": snapshot,
        "money": broker["money"],
        "symbols": symbols,
        "symbol": symbol,
        "only_differences": only,
        "sheets": sheets_of(local, broker, symbol=symbol, only_differences=only),
        "neighbours": _neighbours(run),
    }


def _neighbours(run: Run) -> dict[str, int | None]:
    """The pictures before and after this one: travelling goes step by step."""
    mine = RunSnapshot.objects.filter(run__account=run.account)
    before = mine.filter(run_id__lt=run.pk).order_by("-run_id").values_list("run_id", flat=True).first()
    after = mine.filter(run_id__gt=run.pk).order_by("run_id").values_list("run_id", flat=True).first()
    return {"before": before, "after": after}
