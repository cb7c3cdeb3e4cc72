"""Candles of a price, with the levels that matter and what was done."""

from bisect import bisect_right
from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ui.charts.drawing import axes, canvas
from ui.charts.drawing import levels as drawn_levels
from ui.charts.figure import NOTHING, Figure, Row, empty_figure, figure, heading_of, join
from ui.charts.scales import Tick, ValueScale, moment_of, spell, value_scale
from ui.charts.values import Candle, Level, Marker
from ui.formatting import NEW_YORK, qty

_SHAPES = {"up": "M0 3L7 15H-7Z", "down": "M0 -3L7 -15H-7Z", "diamond": "M0 -7L7 0L0 7L-7 0Z"}
_MOST_TICKS = 12


def candle_chart(
    *,
    title: str,
    unit: str,
    candles: Sequence[Candle],
    levels: Sequence[Level] = (),
    markers: Sequence[Marker] = (),
    summary: str = "",
    height: int = 320,
    key: str = "",
) -> SafeString:
    """Return the figure. Candles stand side by side in their order: hours without trade take no room.

    A marker belongs to the candle that it fell into; one from before the first candle is only in the table.
    """
    if not candles:
        return empty_figure(title=title, unit=unit, summary=summary, key=key)
    candles = sorted(candles, key=lambda candle: moment_of(candle.at))
    placed = _placed(candles, markers)
    scale = value_scale(
        [price for candle in candles for price in (candle.low, candle.high)]
        + [level.value for level in levels]
        + [marker.value for marker, number in placed if number is not None],
        height=height,
    )
    facts = Figure(
        title=title,
        unit=unit,
        summary=summary,
        first_column="Time",
        columns=("Open", "High", "Low", "Close", "Volume"),
        rows=_rows(candles, placed, unit, scale),
        key=key,
        extra=_further_tables(levels, markers, unit),
    )
    drawn = [
        axes(scale, _ticks(candles)),
        _drawn(candles, scale),
        drawn_levels(scale, [(level, spell(level.value, unit)) for level in levels]),
        _markers(placed, len(candles), scale),
    ]
    is_group = any(marker.href for marker, number in placed if number is not None)
    last = f"Last {spell(candles[-1].close, unit)}."
    return figure(
        facts, canvas(label=f"{title}, {unit}. {summary or last}", scale=scale, is_group=is_group, content=drawn)
    )


def _x(number: int, count: int) -> float:
    return round((number + 0.5) * 100 / count, 3)


def _placed(candles: Sequence[Candle], markers: Sequence[Marker]) -> list[tuple[Marker, int | None]]:
    starts = [moment_of(candle.at) for candle in candles]
    numbers = [bisect_right(starts, marker.at) - 1 for marker in markers]
    return [(marker, None if number < 0 else number) for marker, number in zip(markers, numbers, strict=True)]


def _rows(
    candles: Sequence[Candle], placed: Sequence[tuple[Marker, int | None]], unit: str, scale: ValueScale
) -> list[Row]:
    notes: dict[int, list[str]] = {}
    for marker, place in placed:
        if place is not None:
            notes.setdefault(place, []).append(marker.label)
    return [
        Row(
            heading=heading_of(candle.at),
            cells=[
                *(spell(value, unit) for value in (candle.open, candle.high, candle.low, candle.close)),
                qty(candle.volume),
            ],
            x=_x(number, len(candles)),
            ys=(scale.y(candle.close),),
            note="; ".join(notes.get(number, ())),
        )
        for number, candle in enumerate(candles)
    ]


def _ticks(candles: Sequence[Candle]) -> list[Tick]:
    """Label the first candle of each day, or of each month when there is one candle a day."""
    days = [moment_of(candle.at).astimezone(NEW_YORK).date() for candle in candles]
    by_month = len(set(days)) > 45
    marks = [(day.year, day.month) if by_month else (day.year, day.month, day.day) for day in days]
    firsts = [n for n, mark in enumerate(marks) if n == 0 or mark != marks[n - 1]]
    # The first day or month may have only a few candles: two labels would stand in one another.
    if len(firsts) > 1 and (firsts[1] - firsts[0]) * _MOST_TICKS < len(candles):
        del firsts[0]
    every = max(1, -(-len(firsts) // _MOST_TICKS))
    return [
        Tick(_x(n, len(candles)), f"{days[n]:%b %Y}" if by_month else f"{days[n]:%b} {days[n].day}")
        for n in firsts[::every]
    ]


def _drawn(candles: Sequence[Candle], scale: ValueScale) -> SafeString:
    width = round(100 / len(candles) * 0.64, 3)
    parts = []
    for number, candle in enumerate(candles):
        x = _x(number, len(candles))
        top, bottom = sorted((scale.y(candle.open), scale.y(candle.close)))
        parts.append(
            format_html(
                '<g class="{0}"><line x1="{1}%" x2="{1}%" y1="{2}" y2="{3}"/>'
                '<rect x="{4}%" width="{5}%" y="{6}" height="{7}"/></g>',
                "chart-down" if candle.is_down else "chart-up",
                x,
                scale.y(candle.high),
                scale.y(candle.low),
                round(x - width / 2, 3),
                width,
                top,
                max(1.0, round(bottom - top, 2)),
            )
        )
    return format_html('<g class="chart-candles" aria-hidden="true">{}</g>', join(parts))


def _markers(placed: Sequence[tuple[Marker, int | None]], count: int, scale: ValueScale) -> SafeString:
    parts = []
    for marker, number in placed:
        if number is None:
            continue
        shape = format_html(
            '<svg class="chart-marker chart-marker-{0}" x="{1}%" y="{2}"><title>{3}</title><path d="{4}"/></svg>',
            marker.shape,
            _x(number, count),
            scale.y(marker.value),
            marker.label,
            _SHAPES[marker.shape],
        )
        link = '<a href="{}" aria-label="{}">{}</a>'
        parts.append(format_html(link, marker.href, marker.label, shape) if marker.href else shape)
    return join(parts)


def _further_tables(levels: Sequence[Level], markers: Sequence[Marker], unit: str) -> SafeString:
    return join([_level_table(levels, unit), _marker_table(markers, unit)])


def _level_table(levels: Sequence[Level], unit: str) -> SafeString:
    if not levels:
        return NOTHING
    rows = format_html_join(
        "",
        '<tr><th scope="row">{}</th><td class="number">{}</td></tr>',
        ((level.label, spell(level.value, unit)) for level in levels),
    )
    return format_html(
        '<table class="table"><thead><tr><th scope="col">Level</th><th scope="col" class="number">Price</th></tr>'
        "</thead><tbody>{}</tbody></table>",
        rows,
    )


def _marker_table(markers: Sequence[Marker], unit: str) -> SafeString:
    if not markers:
        return NOTHING
    rows = format_html_join(
        "",
        '<tr><th scope="row">{}</th><td>{}</td><td class="number">{}</td></tr>',
        (
            (
                heading_of(marker.at),
                format_html('<a href="{}">{}</a>', marker.href, marker.label) if marker.href else marker.label,
                spell(marker.value, unit),
            )
            for marker in markers
        ),
    )
    return format_html(
        '<table class="table"><thead><tr><th scope="col">Time</th><th scope="col">What</th>'
        '<th scope="col" class="number">Price</th></tr></thead><tbody>{}</tbody></table>',
        rows,
    )
