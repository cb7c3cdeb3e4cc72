"""Where a price stands between its stop and its target, small enough for a cell."""

from decimal import Decimal

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ui.charts.figure import NOTHING

_HALF = Decimal(50)


def level_bar(*, low: Decimal, high: Decimal, value: Decimal, entry: Decimal | None = None, label: str) -> SafeString:
    """Return a bar from the stop at its left (`low`) to the target at its right (`high`).

    For a short, give the stop as `low` though it is the greater number: left is always the loss. A value beyond
    either end is drawn as an arrow at that end. `label` says all of it in words.
    """
    share = _share(value, low, high)
    at = min(max(share, Decimal(0)), Decimal(100))
    start = NOTHING
    if entry is not None:
        begin = min(max(_share(entry, low, high), Decimal(0)), Decimal(100))
        start = format_html(
            '<rect class="{}" x="{}%" width="{}%" y="6" height="4"/>'
            '<line class="level-entry" x1="{}%" x2="{}%" y1="3" y2="13"/>',
            "level-gain" if at >= begin else "level-loss",
            _places(min(at, begin)),
            _places(abs(at - begin)),
            _places(begin),
            _places(begin),
        )
    path = "M0 2L4 8L0 14L-4 8Z" if at == share else "M-5 2L2 8L-5 14Z" if share > at else "M5 2L-2 8L5 14Z"
    return format_html(
        '<svg class="level-bar" role="img" aria-label="{}" width="96" height="16"><title>{}</title>'
        '<rect class="level-track" width="100%" y="6" height="4" rx="2"/>{}'
        '<line class="level-end" x1="0" x2="0" y1="3" y2="13"/><line class="level-end" x1="100%" x2="100%" y1="3" '
        'y2="13"/><svg class="level-value" x="{}%"><path d="{}"/></svg></svg>',
        label,
        label,
        start,
        _places(at),
        path,
    )


def _share(value: Decimal, low: Decimal, high: Decimal) -> Decimal:
    return _HALF if low == high else (value - low) / (high - low) * 100


def _places(percent: Decimal) -> str:
    return f"{percent:.2f}"
