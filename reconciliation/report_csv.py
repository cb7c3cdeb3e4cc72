"""A report as one table, for spreadsheets: what was found, what was repaired, what is held."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import StreamingHttpResponse

from reconciliation.report import Report
from ui.csv_export import csv_response


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    section: str
    symbol: str = ""
    what: str
    severity: str = ""
    state: str = ""
    amount: str = ""
    text: str = ""


FIELDS = ("section", "symbol", "what", "severity", "state", "amount", "text")


def as_csv(report: Report) -> StreamingHttpResponse:
    """Amounts are dollars: touched by a finding, at risk in a holding."""
    fields = [(name, lambda line, name=name: getattr(line, name)) for name in FIELDS]
    return csv_response(f"run-{report.run}", fields, _lines(report))


def _lines(report: Report) -> Iterator[Line]:
    yield Line(section="run", what=f"Run {report.run}", state=report.state, text=" ".join(report.problem))
    for finding in report.found:
        yield Line(
            section="found",
            symbol=finding.symbol,
            what=finding.kind,
            severity=finding.severity,
            amount=_amount(finding.dollars),
            text=finding.sentence,
        )
        for sentence in finding.consequences:
            yield Line(section="consequence", symbol=finding.symbol, what=finding.kind, text=sentence)
    for repair in report.repaired:
        yield Line(
            section="repaired",
            what=f"Fix {repair.fix}, approved by {repair.approved_by}",
            state=repair.state,
            text=f"{repair.title}. {repair.outcome}".strip(),
        )
    for holding in report.portfolio:
        said = (
            f"{holding.qty} at {holding.entry_price}, stop {holding.stop_loss or '–'}, target {holding.target or '–'}"
        )
        yield Line(
            section="portfolio",
            symbol=holding.symbol,
            what="Open position",
            state="estimated" if holding.is_estimated else "",
            amount=_amount(holding.total_risk),
            text=said,
        )


def _amount(text: str | None) -> str:
    return (text or "").replace(",", "")
