"""The figures as a picture: a bar for each, as long as the share of its goal that it uses. Reads in light and dark."""

from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from benchmarks.rows import Figure
from benchmarks.table import goal, result

WIDTH, LINE, TOP, BOTTOM = 960, 34, 92, 52
LEFT, RIGHT = 330, 190
#: A bar that is longer than this is cut off, and says so.
MOST = 2.0
TICKS = (0.0, 0.5, 1.0, 1.5, 2.0)

_STYLE = """
  svg { background: #ffffff; font-family: system-ui, sans-serif; font-size: 13px; }
  text { fill: #1f2328; } .quiet { fill: #59636e; font-size: 11px; } .title { font-size: 17px; font-weight: 600; }
  .met { fill: #1a7f37; } .missed { fill: #cf222e; } .grid { stroke: #d1d9e0; } .goal { stroke: #1f2328; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
    .met { fill: #3fb950; } .missed { fill: #f85149; } .grid { stroke: #3d444d; } .goal { stroke: #f0f6fc; }
  }
"""


def share_of_goal(figure: Figure) -> float:
    """1 is the goal itself, less is better. Of a goal that is to be reached it is the other way round."""
    used, allowed = (figure.goal, figure.compared) if figure.is_least else (figure.compared, figure.goal)
    if allowed:
        return used / allowed
    return 0.0 if not used else float("inf")


def picture(figures: Iterable[Figure], *, title: str) -> str:
    drawn = list(figures)
    height = TOP + LINE * len(drawn) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-labelledby="title">',
        f"<style>{_STYLE}</style>",
        f'<text id="title" class="title" x="16" y="30">{escape(title)}</text>',
        '<text class="quiet" x="16" y="50">Each bar is the measured figure as a share of its goal: a bar that ends '
        "left of the line at 1 meets it.</text>",
        *_axis(height),
        *(part for number, figure in enumerate(drawn) for part in _bar(figure, TOP + LINE * number)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(share, MOST) / MOST


def _axis(height: int) -> Sequence[str]:
    end = height - BOTTOM + 6
    parts = []
    for tick in TICKS:
        kind = "goal" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{TOP - 12}" y2="{end}"/>')
        text = f'<text class="quiet" text-anchor="middle" x="{_x(tick):.1f}" y="{end + 15}">{tick:.1f} ×</text>'
        parts.append(text)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="quiet" text-anchor="middle" x="{middle}" y="{end + 34}">share of the goal</text>')
    return parts


def _bar(figure: Figure, y: int) -> Sequence[str]:
    share = share_of_goal(figure)
    kind = "met" if figure.is_met else "missed"
    cut = " …" if share > MOST else ""
    said = f"{result(figure)}  (goal {goal(figure)}){cut}"
    return (
        f'<text x="16" y="{y + 11}">{escape(figure.row)}</text>',
        f'<text class="quiet" x="16" y="{y + 25}">{escape(_short(figure.what))}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{y + 2}" width="{max(_x(share) - LEFT, 1):.1f}" height="18" rx="2"/>',
        f'<text x="{WIDTH - RIGHT + 10}" y="{y + 16}">{escape(said)}</text>',
    )


def _short(text: str) -> str:
    return text if len(text) <= 56 else f"{text[:55]}…"
