"""Charts as SVG, drawn on the server: no script of others, no inline style, the theme's own colours.

Each function returns a `<figure class="chart">` with the title, the unit, the drawing, and the same numbers as a
table. `ui/static/ui/chart.js` reads the table to say the values under the pointer; without it nothing is missing.
"""

from ui.charts.bars import bar_chart
from ui.charts.candles import candle_chart
from ui.charts.level_bars import level_bar
from ui.charts.lines import line_chart
from ui.charts.values import Bars, Candle, Level, Marker, Point, Series

__all__ = [
    "Bars",
    "Candle",
    "Level",
    "Marker",
    "Point",
    "Series",
    "bar_chart",
    "candle_chart",
    "level_bar",
    "line_chart",
]
