"""Bars for categories, stacked or side by side."""

from collections.abc import Sequence
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ui.charts.drawing import axes, canvas
from ui.charts.figure import NOTHING, Figure, Row, empty_figure, figure, join, legend, tone_class
from ui.charts.scales import LabelAxis, ValueScale, spell, value_scale
from ui.charts.values import Bars, Series

#: Percent of a category's place that its bars take.
_FULL = 0.7
_ZERO = Decimal(0)


def bar_chart(
    *,
    title: str,
    unit: str,
    categories: Sequence[str],
    series: Sequence[Bars | Series],
    stacked: bool = True,
    summary: str = "",
    height: int = 240,
    key: str = "",
) -> SafeString:
    """Return the figure. Every series has a value (or None) for each category, in their order."""
    bars = [_bars(row) for row in series]
    if any(len(row.values) != len(categories) for row in bars):
        raise ValueError("Every series of a bar chart has one value for each category.")
    if not categories or not any(value is not None for row in bars for value in row.values):
        return empty_figure(title=title, unit=unit, summary=summary, key=key)
    spans = _stacked(bars) if stacked else _side_by_side(bars)
    scale = value_scale([end for row in spans for span in row if span for end in span], height=height, with_zero=True)
    axis = LabelAxis(categories)
    facts = Figure(
        title=title,
        unit=unit,
        summary=summary,
        first_column="",
        columns=[row.name for row in bars],
        rows=_rows(bars, unit, axis, spans, scale),
        key=key,
        legend=legend((row.name, f"chart-bars {_classes(n, row)}") for n, row in enumerate(bars))
        if len(bars) > 1
        else NOTHING,
    )
    drawn = [_drawn(n, row, spans[n], axis, scale, 1 if stacked else len(bars)) for n, row in enumerate(bars)]
    label = f"{title}, {unit}. {summary or f'{len(categories)} categories.'}"
    return figure(facts, canvas(label=label, scale=scale, is_group=False, content=[axes(scale, axis.ticks()), *drawn]))


Span = tuple[Decimal, Decimal] | None


def _bars(row: Bars | Series) -> Bars:
    return row if isinstance(row, Bars) else Bars(row.name, [point.value for point in row.points], row.tone)


def _side_by_side(bars: Sequence[Bars]) -> list[list[Span]]:
    return [[None if value is None else (_ZERO, value) for value in row.values] for row in bars]


def _stacked(bars: Sequence[Bars]) -> list[list[Span]]:
    """Stack what is positive upwards and what is negative downwards."""
    ends: dict[tuple[int, bool], Decimal] = {}
    found: list[list[Span]] = []
    for row in bars:
        spans: list[Span] = []
        for number, value in enumerate(row.values):
            if value is None:
                spans.append(None)
                continue
            place = (number, value < 0)
            start = ends.get(place, _ZERO)
            ends[place] = start + value
            spans.append((start, ends[place]))
        found.append(spans)
    return found


def _classes(number: int, row: Bars) -> str:
    return f"{tone_class(row.tone)} chart-nth-{number % 4}"


def _rows(
    bars: Sequence[Bars], unit: str, axis: LabelAxis, spans: Sequence[Sequence[Span]], scale: ValueScale
) -> list[Row]:
    return [
        Row(
            heading=label,
            cells=[spell(row.values[number], unit) for row in bars],
            x=axis.middle(number),
            ys=[scale.y(span[1]) for row in spans if (span := row[number])],
        )
        for number, label in enumerate(axis.labels)
    ]


def _drawn(
    number: int, row: Bars, spans: Sequence[Span], axis: LabelAxis, scale: ValueScale, beside: int
) -> SafeString:
    width = axis.step * _FULL / beside
    shift = 0.0 if beside == 1 else number * width
    parts = []
    for place, span in enumerate(spans):
        if span is None:
            continue
        top, bottom = sorted((scale.y(span[0]), scale.y(span[1])))
        left = axis.middle(place) - axis.step * _FULL / 2 + shift
        parts.append(
            format_html(
                '<rect x="{}%" width="{}%" y="{}" height="{}"/>',
                round(left, 3),
                round(width, 3),
                top,
                round(bottom - top, 2),
            )
        )
    return format_html('<g class="chart-bars {}">{}</g>', _classes(number, row), join(parts))
