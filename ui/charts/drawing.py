"""Pieces of SVG. Across, places are percent and down they are pixels: so text keeps its size at every width.

The padding around the drawing area is in chart.css: `PADDING` is what it takes from the height.
"""

from collections.abc import Iterable, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ui.charts.figure import join, tone_class
from ui.charts.scales import Tick, ValueScale
from ui.charts.values import Level

#: Pixels above and below the drawing area, for the axis of time and half a line of text.
PADDING = 12 + 26
#: The width that a stretched path is drawn on.
WIDE = 1000
#: Labels of levels keep this distance.
_LINE = 15


def canvas(*, label: str, scale: ValueScale, is_group: bool, content: Iterable[SafeString]) -> SafeString:
    """The `<svg>` itself. A drawing with links in it is a group of them, any other one is one picture."""
    widest = max(len(scale.label(tick)) for tick in scale.ticks)
    gutter = "s" if widest <= 5 else "m" if widest <= 8 else "l"
    return format_html(
        '<svg class="chart-canvas chart-gutter-{}" role="{}" aria-label="{}" height="{}">'
        '<rect class="chart-area" width="100%" height="{}"/>{}'
        '<g class="chart-cross" aria-hidden="true"></g></svg>',
        gutter,
        "group" if is_group else "img",
        label,
        scale.height + PADDING,
        scale.height,
        join(content),
    )


def axes(scale: ValueScale, ticks: Sequence[Tick]) -> SafeString:
    lines = format_html_join(
        "",
        '<line class="{0}" x1="0" x2="100%" y1="{1}" y2="{1}"/><text x="-8" y="{1}" dy="0.32em" '
        'text-anchor="end">{2}</text>',
        (("chart-zero" if tick == 0 else "chart-grid", scale.y(tick), scale.label(tick)) for tick in scale.ticks),
    )
    labels = format_html_join(
        "",
        '<g class="chart-tick-{0}"><line class="chart-grid" x1="{1}%" x2="{1}%" y1="{2}" y2="{3}"/>'
        '<text x="{1}%" y="{4}" text-anchor="{5}">{6}</text></g>',
        (
            (
                _rank(n, len(ticks)),
                tick.x,
                scale.height,
                scale.height + 5,
                scale.height + 19,
                _anchor(tick.x),
                tick.label,
            )
            for n, tick in enumerate(ticks)
        ),
    )
    return format_html('<g class="chart-axes" aria-hidden="true">{}{}</g>', lines, labels)


def _rank(number: int, count: int) -> int:
    """Narrow charts show every fourth label, wider ones every second, wide ones all: chart.css hides by rank."""
    if count <= 6:
        return 1 if count <= 3 or number % 2 == 0 else 2
    return 1 if number % 4 == 0 else 2 if number % 2 == 0 else 3


def _anchor(x: float) -> str:
    return "start" if x < 4 else "end" if x > 96 else "middle"


def stretched(height: int, content: SafeString) -> SafeString:
    """Let a path run over the whole width: `WIDE` units across are 100 %."""
    return format_html(
        '<svg class="chart-stretched" width="100%" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none" '
        'aria-hidden="true">{2}</svg>',
        height,
        WIDE,
        content,
    )


def levels(scale: ValueScale, rows: Sequence[tuple[Level, str]]) -> SafeString:
    """Lines across, each with its label at the right end; labels that would meet move apart."""
    parts = []
    floor = 10.0
    for level, value in sorted(rows, key=lambda row: -row[0].value):
        y = scale.y(level.value)
        text_y = min(max(y - 4, floor), scale.height - 3)
        floor = text_y + _LINE
        parts.append(
            format_html(
                '<g class="chart-level {0}"><line class="chart-line" x1="0" x2="100%" y1="{1}" y2="{1}"/>'
                '<text x="100%" dx="-4" y="{2}" text-anchor="end">{3} {4}</text></g>',
                tone_class(level.tone),
                y,
                round(text_y, 2),
                level.label,
                value,
            )
        )
    return join(parts)
