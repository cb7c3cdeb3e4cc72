"""The figure around a drawing: caption, key, readout and the table with the same numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from ui.charts.values import TONES, When
from ui.formatting import in_new_york, in_utc, iso_utc

NOTHING = SafeString()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, and where the drawing shows it: percent from the left, pixels from the top."""

    heading: SafeString | str
    cells: Sequence[str]
    x: float
    ys: Sequence[float] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    title: str
    unit: str
    summary: str
    first_column: str
    columns: Sequence[str]
    rows: Sequence[Row]
    key: str = ""
    legend: SafeString = field(default=NOTHING)
    extra: SafeString = field(default=NOTHING)

    @property
    def name(self) -> str:
        return f"chart-{slugify(self.key or self.title) or 'figure'}"


def figure(facts: Figure, drawing: SafeString) -> SafeString:
    return format_html(
        '<figure class="chart" id="{name}">{caption}{legend}'
        '<div class="chart-frame" id="{name}-frame" tabindex="0" role="group" aria-roledescription="chart" '
        'aria-label="{title}: the arrow keys read the values">{drawing}</div>'
        '<p class="chart-readout" role="status">{readout}</p>{table}</figure>',
        name=facts.name,
        title=facts.title,
        caption=_caption(facts),
        legend=facts.legend,
        drawing=drawing,
        readout=_reading(facts, facts.rows[-1]),
        table=_table(facts),
    )


def empty_figure(*, title: str, unit: str, summary: str, key: str = "") -> SafeString:
    facts = Figure(title=title, unit=unit, summary=summary, first_column="", columns=(), rows=(), key=key)
    return format_html(
        '<figure class="chart chart-is-empty" id="{}">{}<p class="chart-empty">No figures yet.</p></figure>',
        facts.name,
        _caption(facts),
    )


def _caption(facts: Figure) -> SafeString:
    unit = format_html(' <span class="chart-unit">{}</span>', facts.unit) if facts.unit else NOTHING
    summary = format_html(' <span class="chart-summary">{}</span>', facts.summary) if facts.summary else NOTHING
    return format_html('<figcaption><span class="chart-title">{}</span>{}{}</figcaption>', facts.title, unit, summary)


def _reading(facts: Figure, row: Row) -> SafeString:
    """The words that chart.js makes of a row of the table."""
    pairs = ((name, cell) for name, cell in zip(facts.columns, row.cells, strict=True))
    values = format_html_join(" ", "<span>{} <b>{}</b></span>", pairs)
    note = format_html(" <span>{}</span>", row.note) if row.note else NOTHING
    return format_html("<span>{}</span> {}{}", row.heading, values, note)


def _table(facts: Figure) -> SafeString:
    heads = format_html_join("", '<th scope="col" class="number">{}</th>', ((name,) for name in facts.columns))
    return format_html(
        '<details class="chart-table" id="{}-table"><summary>Table</summary>'
        '<div class="table-scroll" tabindex="0" role="region" aria-label="{}: table">'
        '<table class="table"><thead><tr><th scope="col">{}</th>{}</tr></thead>'
        "<tbody data-readings>{}</tbody></table>{}</div></details>",
        facts.name,
        facts.title,
        facts.first_column,
        heads,
        join(_table_row(row) for row in facts.rows),
        facts.extra,
    )


def _table_row(row: Row) -> SafeString:
    note = format_html(' data-note="{}"', row.note) if row.note else NOTHING
    return format_html(
        '<tr data-x="{}" data-y="{}"{}><th scope="row">{}</th>{}</tr>',
        row.x,
        " ".join(str(y) for y in row.ys),
        note,
        row.heading,
        format_html_join("", '<td class="number">{}</td>', ((cell,) for cell in row.cells)),
    )


def legend(entries: Iterable[tuple[str, str]]) -> SafeString:
    """`entries` are names and the classes of their swatches."""
    items = format_html_join(
        "",
        '<li><svg class="chart-swatch {}" width="22" height="12" aria-hidden="true">'
        '<rect class="chart-swatch-fill" width="22" height="12"/>'
        '<line class="chart-line" x1="0" x2="22" y1="6" y2="6"/></svg> {}</li>',
        ((classes, name) for name, classes in entries),
    )
    return format_html('<ul class="chart-legend">{}</ul>', items) if items else NOTHING


def heading_of(when: When) -> SafeString | str:
    """Say a time as the rest of the pages do: New York, with UTC on hover."""
    if isinstance(when, datetime):
        text = in_new_york(when, today=date.min, style="minute")
        return format_html('<time datetime="{}" title="{}">{}</time>', iso_utc(when), in_utc(when), text)
    return when if isinstance(when, str) else when.isoformat()


def tone_class(tone: str) -> str:
    return f"chart-{tone}" if tone in TONES else "chart-accent"


def join(parts: Iterable[SafeString]) -> SafeString:
    return mark_safe("".join(parts))  # noqa: S308  # each part is escaped where it is made
