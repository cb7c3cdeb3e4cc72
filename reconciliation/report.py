"""The reconciliation report of a run: what a person would have written by hand, from the rows."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.template.loader import render_to_string

from broker.numbers import plain
from broker.times import NEW_YORK
from positions.models import Position
from reconciliation.list_counts import in_reading_order, what_was_read
from reconciliation.models import Drift, Fix, Run
from reconciliation.presentation import family_severity
from ui.formatting import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    kind: str
    severity: str
    symbol: str
    sentence: str
    dollars: str | None
    consequences: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    fix: int
    title: str
    state: str
    approved_by: str
    applied_at: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    symbol: str
    qty: str
    entry_price: str
    stop_loss: str | None
    target: str | None
    total_risk: str | None
    is_estimated: bool
    is_new: bool
    entered_by: str = ""  # whose numbers are in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Seven sections, each as data; the formats only lay them out."""

    run: int
    account: str
    environment: str
    state: str
    started_at: str
    finished_at: str
    notice: str
    summary: list[str]
    problem: list[str]
    found: list[Finding]
    repaired: list[Repair]
    verification: list[str]
    portfolio: list[Holding]
    closed: list[str]
    total_risk: str
    total_risk_of_new_positions: str
    next_steps: list[str]


#: A report tells what was found and repaired up to this long before its run ended.
STORY_SPAN = timedelta(days=1)


def build_report(run: Run) -> Report:
    """Tell the run, the drift it saw, and the fixes that it proposed or verified."""
    fixes = _fixes_of(run)
    roots = _roots_of(run, fixes)
    holdings = _holdings(run, fixes)
    new = [holding for holding in holdings if holding.is_new]
    closed = _closed_symbols(run, fixes)
    return Report(
        run=run.pk,
        account=run.account.name,
        environment=run.account.get_environment_display(),
        state=run.get_state_display(),
        started_at=_new_york(run.started_at),
        finished_at=_new_york(run.finished_at),
        notice=run.account.notice,
        summary=_summary(run, roots, fixes, holdings, closed),
        problem=_problem(run, roots),
        found=[_finding(drift) for drift in roots],
        repaired=[_repair(fix) for fix in fixes if fix.approved_by],
        verification=_verification(run, fixes),
        portfolio=holdings,
        closed=closed,
        total_risk=_sum_of_risk(holdings),
        total_risk_of_new_positions=_sum_of_risk(new),
        next_steps=_next_steps(run, fixes),
    )


#: What Markdown would take for markup, a link, code or the end of a cell. Underscores and stars stay readable.
_NOT_IN_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "`": "\\`", "[": "\\[", "]": "\\]"}
)


def as_markdown(report: Report) -> str:
    return render_to_string("reconciliation/report.md", {"report": _as_text(asdict(report))}).strip() + "\n"


def _as_text(value: Any) -> Any:
    """What a broker or a person wrote stays text."""
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(inner) for inner in value]
    return value.translate(_NOT_IN_MARKDOWN) if isinstance(value, str) else value


def as_html(report: Report) -> str:
    return render_to_string("reconciliation/report_document.html", {"report": report})


def as_document(report: Report) -> dict[str, Any]:
    return asdict(report)


def _fixes_of(run: Run) -> list[Fix]:
    """Fixes that were live at this run, verified by it, or applied in the day before its end: one story."""
    mine = Fix.objects.filter(account=run.account).exclude(state__in=[Fix.State.WITHDRAWN, Fix.State.STALE])
    end = run.finished_at or run.requested_at
    about = (
        Q(run=run)
        | Q(verification_run=run)
        | Q(drifts__first_run__lte=run.pk, drifts__last_run__gte=run.pk)
        | Q(applied_at__gt=end - STORY_SPAN, applied_at__lte=end)
    )
    return list(mine.filter(about).distinct().order_by("pk"))


def _roots_of(run: Run, fixes: list[Fix]) -> list[Drift]:
    mine = Drift.objects.filter(account=run.account).roots().prefetch_related("consequences")
    seen = Q(first_run__lte=run.pk, last_run__gte=run.pk) | Q(fix__in=[fix.pk for fix in fixes])
    found = mine.filter(seen).exclude(state=Drift.State.IGNORED).order_by("pk")
    # A fix that was undone and made again is one cause, told once.
    return list({drift.key: drift for drift in found}.values())


def _finding(drift: Drift) -> Finding:
    return Finding(
        kind=drift.title,
        severity=family_severity(drift),
        symbol=drift.symbol,
        sentence=drift.sentence,
        dollars=_money(drift.dollars) if drift.dollars is not None else None,
        consequences=[consequence.sentence for consequence in drift.consequences.all()],
    )


def _repair(fix: Fix) -> Repair:
    return Repair(
        fix=fix.pk,
        title=fix.title,
        state=fix.get_state_display(),
        approved_by=fix.approved_by,
        applied_at=_new_york(fix.applied_at),
        outcome=fix.outcome,
    )


def _new_symbols(fixes: list[Fix]) -> set[str]:
    """Symbols that a fix brought from nothing into an open position."""
    return {
        fix.symbol
        for fix in fixes
        if fix.applied_at and _side(fix, "before") == "none" and _side(fix, "after") == "open"
    }


def _closed_symbols(run: Run, fixes: list[Fix]) -> list[str]:
    return sorted({fix.symbol for fix in fixes if fix.applied_at and _side(fix, "after") == "closed"})


def _side(fix: Fix, name: str) -> str:
    return str((getattr(fix, name).get("position") or {}).get("state", ""))


def _holdings(run: Run, fixes: list[Fix]) -> list[Holding]:
    new = _new_symbols(fixes)
    positions = Position.objects.filter(account=run.account).open().order_by("symbol")
    return [
        Holding(
            symbol=position.symbol,
            qty=plain(position.qty) or "",
            entry_price=_money(position.avg_entry_price),
            stop_loss=_money(position.stop_loss),
            target=_money(position.target),
            total_risk=_money(position.total_risk),
            is_estimated=position.is_estimated,
            is_new=position.symbol in new,
            entered_by=position.entered_by,
        )
        for position in positions
    ]


def _summary(run: Run, roots: list[Drift], fixes: list[Fix], holdings: list[Holding], closed: list[str]) -> list[str]:
    calls = counted(run.api_calls, "call")
    lines = [f"Run {run.pk} of {run.account.name} ended {run.get_state_display().lower()} after {calls}."]
    if roots:
        orders = sum(1 for drift in roots if drift.group in {"identity", "order_state", "fills"})
        consequences = sum(len(drift.consequences.all()) for drift in roots)
        lines.append(
            f"{counted(len(roots), 'cause')} of drift, {orders} of them orders or fills, "
            f"with {counted(consequences, 'consequence')}."
        )
    verified = [fix for fix in fixes if fix.state == Fix.State.VERIFIED]
    if verified:
        lines.append(f"{len(verified)} of {counted(len(fixes), 'fix', 'fixes')} applied and verified by a fresh read.")
    lines.append(f"{counted(len(holdings), 'open position')}{', closed: ' + ', '.join(closed) if closed else ''}.")
    return lines


def _problem(run: Run, roots: list[Drift]) -> list[str]:
    if run.state == Run.State.INCOMPLETE:
        return [f"The read proves nothing: {run.incomplete_reason}"]
    if not roots:
        return ["None: database and Alpaca agree."]
    dollars = sum((drift.dollars for drift in roots if drift.dollars is not None), Decimal(0))
    unrecorded = [drift for drift in roots if drift.group == "identity"]
    lines = [f"Database and Alpaca came apart over {_money(dollars)} dollars."]
    if run.state == Run.State.IN_SYNC:
        lines = [f"None is left: database and Alpaca agree. They had come apart over {_money(dollars)} dollars."]
    if unrecorded:
        orders = counted(len(unrecorded), "order was", "orders were")
        lines.append(f"{orders} carried out at Alpaca and not recorded in the database.")
    naked = [c for drift in roots for c in drift.consequences.all() if c.kind == "position_broker_only"]
    if naked:
        symbols = ", ".join(sorted(c.symbol for c in naked))
        lines.append(f"{counted(len(naked), 'position')} had no recorded stop, target or risk: {symbols}.")
    return lines


def _verification(run: Run, fixes: list[Fix]) -> list[str]:
    lines = [
        what_was_read(name, counts) for name, counts in in_reading_order(run.completeness) if isinstance(counts, dict)
    ]
    for fix in fixes:
        if fix.state == Fix.State.VERIFIED and fix.verification_run_id:
            lines.append(f"Fix {fix.pk} was verified by run {fix.verification_run_id}.")
        elif fix.state == Fix.State.FAILED:
            lines.append(f"Fix {fix.pk} is NOT verified: {fix.outcome}")
    if run.state == Run.State.INCOMPLETE:
        lines[:0] = _how_far_it_came(run)
    return lines or ["Nothing was read to its end."]


def _how_far_it_came(run: Run) -> list[str]:
    """What the last reading of an incomplete run had in hand when it broke off."""
    readings = run.completeness.get("readings") or []
    lists = dict(readings[-1].get("lists") or {}) if readings else {}
    broken_off = dict(readings[-1].get("broken_off") or {}) if readings else {}
    lines = [f"Read before it failed: {what_was_read(name, counts)}" for name, counts in in_reading_order(lists)]
    if broken_off:
        name = broken_off.pop("name")
        lines.append(f"Broken off in: {what_was_read(name, broken_off)}")
    return lines


def _next_steps(run: Run, fixes: list[Fix]) -> list[str]:
    steps = []
    waiting = [fix for fix in fixes if fix.state == Fix.State.PROPOSED]
    if waiting:
        steps.append(f"Approve or ignore {counted(len(waiting), 'proposed fix', 'proposed fixes')}.")
    failed = [fix for fix in fixes if fix.state == Fix.State.FAILED]
    if failed:
        refuted = counted(len(failed), "fix", "fixes")
        steps.append(f"Look at {refuted} that a fresh read did not verify; each can be undone.")
    unfixable = Drift.objects.filter(account=run.account, state=Drift.State.OPEN, fix=None).roots()
    steps.extend(f"Decide: {drift.sentence}" for drift in unfixable)
    if run.state == Run.State.INCOMPLETE:
        steps.append("Start another run when Alpaca can be read completely.")
    estimated = Position.objects.filter(account=run.account, is_estimated=True).open().count()
    if estimated:
        steps.append(f"{estimated} open positions rest on estimated prices (marked est.): enter the true ones.")
    return steps or ["None."]


def _sum_of_risk(holdings: list[Holding]) -> str:
    risks = [Decimal(h.total_risk.replace(",", "")) for h in holdings if h.total_risk]
    return _money(sum(risks, Decimal(0))) or ""


def _money(amount: Decimal | None) -> Any:
    return None if amount is None else f"{amount:,.2f}"


def _new_york(moment: Any) -> str:
    return moment.astimezone(NEW_YORK).strftime("%Y-%m-%d %H:%M:%S New York") if moment else ""
