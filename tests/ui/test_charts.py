"""Charts: the numbers of the table are exact, the drawing bears every kind of data, and labels stay text."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from ui.charts import Bars, Candle, Level, Marker, Point, Series, bar_chart, candle_chart, level_bar, line_chart
from ui.charts.scales import TimeAxis, value_scale

START = datetime(2025, 11, 6, 14, 30, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&"


def line(*values, name="Equity", **options):
    points = [
        Point(START + timedelta(hours=n), None if value is None else Decimal(value)) for n, value in enumerate(values)
    ]
    return line_chart(**{"title": "Equity", "unit": "USD", "series": [Series(name, points)], **options})


def candles(count=3):
    return [
        Candle(START + timedelta(hours=n), Decimal("172.30"), Decimal("173"), Decimal("171.123456"), Decimal("172.5"))
        for n in range(count)
    ]


def table(figure):
    """The cells of the readings, row by row."""
    body = figure.partition("<tbody data-readings>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr.*?</tr>", body, re.S)
    return [[re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)] for row in rows]


def parsed(figure):
    """Well-formed, or the parser says where not."""
    return ElementTree.fromstring(figure.replace(" data-readings>", ' data-readings="">'))  # noqa: S314  # our own


def one_of_each(label):
    day = [Point(label, Decimal(1)), Point("x", Decimal(2))]
    marker = Marker(START, Decimal(172), label, "up", href=label)
    return {
        "line": line_chart(title=label, unit=label, series=[Series(label, day), Series("b", day)], summary=label),
        "bar": bar_chart(title=label, unit=label, categories=[label], series=[Bars(label, [Decimal(1)])]),
        "candle": candle_chart(
            title=label, unit=label, candles=candles(), levels=[Level(label, Decimal(170), label)], markers=[marker]
        ),
        "level": level_bar(low=Decimal(1), high=Decimal(3), value=Decimal(2), label=label),
    }


@pytest.mark.parametrize("kind", ["line", "bar", "candle", "level"])
def test_labels_are_text_and_the_policy_allows_everything(kind):
    figure = one_of_each(HOSTILE)[kind]
    assert "<script" not in figure
    assert "style=" not in figure
    assert not re.search(r"\son\w+=", figure)
    root = parsed(figure)
    svg = root if root.tag == "svg" else next(svg for svg in root.iter("svg") if svg.get("aria-label"))
    assert HOSTILE in svg.get("aria-label")


def test_the_table_has_the_exact_numbers_new_york_time_and_utc_on_hover():
    figure = line("100000", "99999.995", "-0.10")
    assert table(figure) == [
        ["2025-11-06 09:30 ET", "100,000.00"],
        ["2025-11-06 10:30 ET", "99,999.995"],
        ["2025-11-06 11:30 ET", "−0.10"],
    ]
    assert 'title="2025-11-06 14:30:00 UTC"' in figure
    assert "Lowest −0.10, highest 100,000.00, last −0.10." in figure


def test_a_number_longer_than_a_float_keeps_its_digits():
    figure = line("12345678901234567.123456")
    assert table(figure)[0][1] == "12,345,678,901,234,567.123456"


def test_nothing_to_draw_says_so():
    for figure in (
        line_chart(title="Equity", unit="USD", series=[]),
        line(None, None),
        bar_chart(title="Drifts", unit="drifts", categories=[], series=[]),
        candle_chart(title="QCOM", unit="USD", candles=[], levels=[Level("Stop", Decimal(1))]),
    ):
        assert "No figures yet." in figure
        assert "<svg" not in figure


@pytest.mark.parametrize("values", [["5"], ["5", "5", "5"], ["0", "0"], ["-3", "-1"], ["0.0001", "0.0002"], ["1E+9"]])
def test_every_kind_of_data_lies_inside_of_the_drawing(values):
    root = parsed(line(*values, fill=True))
    height = float(next(root.iter("svg")).find("rect").get("height"))
    places = [
        float(y) for row in root.iter("tr") if row.get("data-y") for y in row.get("data-y").split()
    ]  # fmt: skip
    assert len(places) == len(values)
    assert all(0 <= y <= height for y in places)
    assert len(list(root.iter("polyline"))) == (len(values) > 1)
    assert len(list(root.iter("circle"))) == (len(values) == 1)


def test_a_gap_breaks_the_line_and_is_a_dash_in_the_table():
    figure = line("1", "2", None, "3", "4", None, "5")
    root = parsed(figure)
    assert [len(run.get("points").split()) for run in root.iter("polyline")] == [2, 2]
    assert len(list(root.iter("circle"))) == 1, "a value alone between gaps is a dot"
    assert table(figure)[2][1] == "–"


def test_series_are_told_apart_without_colour_and_have_a_key():
    points = [Point(date(2025, 11, 3), Decimal(1)), Point(date(2025, 11, 4), Decimal(2))]
    figure = line_chart(title="Two", unit="USD", series=[Series("a", points), Series("b", points, "warn")])
    assert "chart-nth-0" in figure
    assert "chart-nth-1" in figure
    assert re.findall(r"</svg> (\w)</li>", figure) == ["a", "b"]
    assert table(figure) == [["2025-11-03", "1.00", "1.00"], ["2025-11-04", "2.00", "2.00"]]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        ("158.52", "199.874", ["150", "160", "170", "180", "190", "200"]),
        ("0", "1", ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ("-310", "120", ["−400", "−300", "−200", "−100", "0", "100", "200"]),
        ("0", "4000000", ["0 M", "1 M", "2 M", "3 M", "4 M"]),
    ],
)
def test_ticks_are_round(low, high, labels):
    scale = value_scale([Decimal(low), Decimal(high)], height=100)
    assert [scale.label(tick) for tick in scale.ticks] == labels
    assert (scale.y(scale.high), scale.y(scale.low)) == (0, 100)


@pytest.mark.parametrize(
    ("length", "first"),
    [
        (timedelta(minutes=40), "09:30"),
        (timedelta(hours=6), "10:00"),
        (timedelta(days=2), "12:00"),
        (timedelta(days=30), "Nov 7"),
        (timedelta(days=365), "Dec 2025"),
        (timedelta(days=3650), "Dec 2025"),
    ],
)
def test_ticks_of_time_are_few_round_and_inside(length, first):
    ticks = TimeAxis([START, START + length]).ticks()
    assert ticks[0].label == first
    assert 2 <= len(ticks) <= 13
    assert all(0 <= tick.x <= 100 for tick in ticks)


def test_stacked_bars_go_up_for_more_and_down_for_less():
    root = parsed(
        bar_chart(
            title="P/L", unit="USD", categories=["A"],
            series=[Bars("a", [Decimal(2)]), Bars("b", [Decimal(3)], "ok"), Bars("c", [Decimal(-1)], "bad"),
                    Bars("d", [None])],
        )
    )  # fmt: skip
    bars = [group.find("rect") for group in root.iter("g") if group.get("class", "").startswith("chart-bars")]
    a, b, c, d = bars
    top = {name: float(bar.get("y")) for name, bar in {"a": a, "b": b, "c": c}.items()}
    assert float(b.get("y")) + float(b.get("height")) == pytest.approx(top["a"])
    assert top["c"] == pytest.approx(top["a"] + float(a.get("height"))), "less than nothing hangs from zero"
    assert d is None


def test_bars_side_by_side_do_not_overlap_and_take_equal_names():
    figure = bar_chart(
        title="P/L", unit="USD", categories=["A", "A"], stacked=False,
        series=[Bars("a", [Decimal(2), Decimal(1)]), Bars("b", [Decimal(3), Decimal(1)])],
    )  # fmt: skip
    spans = sorted(
        (float(rect.get("x").rstrip("%")), float(rect.get("width").rstrip("%")))
        for rect in parsed(figure).iter("rect")
        if rect.get("x")
    )
    assert len(spans) == 4
    assert all(x + width <= following + 0.01 for (x, width), (following, _) in pairwise(spans))


def test_a_bar_chart_refuses_values_that_do_not_fit_its_categories():
    with pytest.raises(ValueError, match="one value for each category"):
        bar_chart(title="P/L", unit="USD", categories=["A", "B"], series=[Bars("a", [Decimal(1)])])


def test_a_marker_belongs_to_its_candle_and_leads_to_its_order():
    bought = Marker(START + timedelta(minutes=80), Decimal(172), "Bought 3 at 172.00", "up", "/orders/7/")
    before = Marker(START - timedelta(days=9), Decimal(900), "Bought 1 at 900.00", "up", "/orders/1/")
    figure = candle_chart(title="QCOM", unit="USD", candles=candles(4), markers=[before, bought])
    root = parsed(figure)
    drawn = next(root.iter("svg"))
    assert drawn.get("role") == "group", "what has links in it is no picture"
    assert [link.get("href") for link in drawn.iter("a")] == ["/orders/7/"]
    rows = [row for row in root.iter("tr") if row.get("data-x")]
    assert [row.get("data-note") for row in rows] == [None, "Bought 3 at 172.00", None, None]
    assert next(drawn.iter("a")).find("svg").get("x") == f"{rows[1].get('data-x')}%"
    assert figure.count('href="/orders/1/"') == 1, "what was before the first candle is only in the table"


def test_candles_in_any_order_show_every_price_and_their_levels():
    figure = candle_chart(
        title="QCOM", unit="USD", candles=candles()[::-1], levels=[Level("Stop", Decimal("158.516"), "bad")]
    )
    rows = table(figure)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows[0][1:] == ["172.30", "173.00", "171.123456", "172.50", "0"]
    assert figure.count("158.516") == 2
    assert next(parsed(figure).iter("svg")).get("role") == "img"


def test_labels_of_levels_that_lie_close_do_not_cover_each_other():
    levels = [
        Level(name, Decimal(price)) for name, price in (("Entry", "172.3"), ("Last", "172.31"), ("Stop", "172.2"))
    ]
    root = parsed(candle_chart(title="QCOM", unit="USD", candles=candles(), levels=levels))
    texts = [group.find("text") for group in root.iter("g") if group.get("class", "").startswith("chart-level ")]
    ys = [float(text.get("y")) for text in texts]
    assert [text.text.split()[0] for text in texts] == ["Last", "Entry", "Stop"]
    assert all(following - y >= 15 for y, following in pairwise(ys))


@pytest.mark.parametrize(
    ("low", "high", "value", "place"),
    [(90, 110, 95, "25.00%"), (110, 90, 95, "75.00%"), (90, 110, 80, "0.00%"), (90, 110, 200, "100.00%"),
     (5, 5, 5, "50.00%")],
)  # fmt: skip
def test_a_level_bar_runs_from_loss_to_gain_and_holds_what_is_beyond(low, high, value, place):
    figure = level_bar(low=Decimal(low), high=Decimal(high), value=Decimal(value), entry=Decimal(100), label="QCOM")
    root = parsed(figure)
    assert root.find("svg").get("x") == place
    is_gain = (value > 100) == (high > low) and low != high
    assert ("level-gain" in figure) == (is_gain or low == high)


def test_two_charts_of_one_title_are_told_apart_by_their_keys():
    ids = re.findall(r' id="([^"]+)"', line("1", key="day") + line("1", key="year"))
    assert len(ids) == len(set(ids)) == 6


def test_the_label_of_a_month_that_is_nearly_over_gives_way():
    days = [Candle(date(2025, 7, 28) + timedelta(days=n), *[Decimal(9)] * 4) for n in range(120)]
    figure = candle_chart(title="QCOM", unit="USD", candles=days)
    assert re.findall(r">(\w{3} 2025)</text>", figure) == ["Aug 2025", "Sep 2025", "Oct 2025", "Nov 2025"]
