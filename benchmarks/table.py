"""The figures as a table for people, and as Markdown."""

from collections.abc import Iterable

from benchmarks.rows import Figure

HEAD = ("row", "measured", "value", "bound", "result", "goal", "")


def number(value: float) -> str:
    """Three digits that count."""
    if value != value or value in (float("inf"), float("-inf")):
        return "∞"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def result(figure: Figure) -> str:
    return f"{number(figure.value)} {figure.unit}" if figure.ratio is None else f"{number(figure.ratio)} ×"


def goal(figure: Figure) -> str:
    sign = "≥" if figure.is_least else "≤"
    return f"{sign} {number(figure.goal)} {figure.unit if figure.ratio is None else '×'}".strip()


def bound(figure: Figure) -> str:
    return "–" if figure.bound is None else f"{number(figure.bound)} {figure.bound_unit or figure.unit}".strip()


def cells(figure: Figure) -> tuple[str, ...]:
    value = f"{number(figure.value)} {figure.unit}".strip()
    return (
        figure.row,
        figure.what,
        value,
        bound(figure),
        result(figure).strip(),
        goal(figure),
        "met" if figure.is_met else "MISSED",
    )


def table(figures: Iterable[Figure]) -> str:
    """Aligned columns; what is held against what follows each line, with its note."""
    figures = list(figures)
    lines = [HEAD, *(cells(figure) for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    shown = [texts[0], "─" * sum((*widths, 2 * len(HEAD) - 2))]
    for figure, text in zip(figures, texts[1:], strict=True):
        shown.append(text)
        remarks = [f"against {figure.bound_what}"] if figure.bound_what else []
        remarks += [figure.note] if figure.note else []
        if remarks:
            shown.append(" " * (widths[0] + 2) + "; ".join(remarks))
    return "\n".join(shown)


def markdown(figures: Iterable[Figure]) -> str:
    """The same for docs/performance.md."""
    lines = ["| row | measured | value | bound | result | goal | |", "|---|---|---|---|---|---|---|"]
    for figure in figures:
        line = list(cells(figure))
        if figure.bound_what:
            line[3] += f" ({figure.bound_what})"
        if figure.note:
            line[1] += f"; {figure.note}"
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)
