"""Lines over time or over labels."""

from collections.abc import Sequence
from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ui.charts.drawing import WIDE, axes, canvas, stretched
from ui.charts.figure import NOTHING, Figure, Row, empty_figure, figure, heading_of, join, legend, tone_class
from ui.charts.scales import LabelAxis, TimeAxis, ValueScale, axis_of, spell, value_scale
from ui.charts.values import Series, When


def line_chart(
    *,
    title: str,
    unit: str,
    series: Sequence[Series],
    summary: str = "",
    height: int = 240,
    fill: bool = False,
    key: str = "",
) -> SafeString:
    """Return the figure. `fill` shades the area under the first line; `key` names it where two share a title."""
    values = [point.value for line in series for point in line.points if point.value is not None]
    if not values:
        return empty_figure(title=title, unit=unit, summary=summary, key=key)
    axis = axis_of([point.at for line in series for point in line.points])
    scale = value_scale(values, height=height)
    rows = _rows(series, unit, axis, scale)
    facts = Figure(
        title=title,
        unit=unit,
        summary=summary,
        first_column="Time" if isinstance(axis, TimeAxis) else "",
        columns=[line.name for line in series],
        rows=rows,
        key=key,
        legend=legend((line.name, _classes(n, line)) for n, line in enumerate(series)) if len(series) > 1 else NOTHING,
    )
    drawn = [_line(n, line, axis, scale, is_filled=fill and n == 0) for n, line in enumerate(series)]
    label = f"{title}, {unit}. {summary or _spoken(values, unit)}"
    return figure(facts, canvas(label=label, scale=scale, is_group=False, content=[axes(scale, axis.ticks()), *drawn]))


def _classes(number: int, line: Series) -> str:
    return f"{tone_class(line.tone)} chart-nth-{number % 4}"


def _spoken(values: Sequence[Decimal], unit: str) -> str:
    return f"Lowest {spell(min(values), unit)}, highest {spell(max(values), unit)}, last {spell(values[-1], unit)}."


def _rows(series: Sequence[Series], unit: str, axis: TimeAxis | LabelAxis, scale: ValueScale) -> list[Row]:
    by_time: dict[When, list[Decimal | None]] = {}
    for number, line in enumerate(series):
        for point in line.points:
            by_time.setdefault(point.at, [None] * len(series))[number] = point.value
    placed = sorted(by_time.items(), key=lambda entry: axis.x(entry[0]))
    return [
        Row(
            heading=heading_of(at),
            cells=[spell(value, unit) for value in values],
            x=axis.x(at),
            ys=[scale.y(value) for value in values if value is not None],
        )
        for at, values in placed
    ]


def _line(number: int, line: Series, axis: TimeAxis | LabelAxis, scale: ValueScale, *, is_filled: bool) -> SafeString:
    runs = _runs(line, axis, scale)
    parts = [_area(run, scale.height) for run in runs if is_filled and len(run) > 1]
    parts += [_polyline(run) for run in runs if len(run) > 1]
    dots = [_dot(*run[0]) for run in runs if len(run) == 1]
    return format_html(
        '<g class="{}">{}{}</g>', _classes(number, line), stretched(scale.height, join(parts)), join(dots)
    )


def _runs(line: Series, axis: TimeAxis | LabelAxis, scale: ValueScale) -> list[list[tuple[float, float]]]:
    """Return the stretches without a gap, as places."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in line.points:
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append((axis.x(point.at), scale.y(point.value)))
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{round(x * WIDE / 100, 2)},{y}" for x, y in run)


def _polyline(run: Sequence[tuple[float, float]]) -> SafeString:
    return format_html('<polyline class="chart-line" points="{}"/>', _path(run))


def _area(run: Sequence[tuple[float, float]], height: int) -> SafeString:
    return format_html(
        '<polygon class="chart-fill" points="{}"/>', _path([(run[0][0], height), *run, (run[-1][0], height)])
    )


def _dot(x: float, y: float) -> SafeString:
    return format_html('<circle class="chart-dot" cx="{}%" cy="{}" r="4"/>', x, y)
