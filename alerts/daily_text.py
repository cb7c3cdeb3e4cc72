"""The daily report as Markdown. Pure: the facts in, text out. Whatever the broker wrote stays text."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ui.formatting import counted

Facts = Mapping[str, Any]
#: What Markdown, or HTML within it, would take for more than a letter; and what begins a heading or a list.
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")
_OPENING = re.compile(r"^(#|[-+](?=\s|$)|\d+(?=[.)](?:\s|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(value: object) -> str:
    text = _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))
    opening = _OPENING.match(text)
    if opening:
        marker = opening[0]
        text = (f"{marker}\\" if marker.isdigit() else f"\\{marker}") + text[len(marker) :]
    return "".join(_ENTITIES.get(letter, letter) for letter in text)


def headline(facts: Facts) -> str:
    """One line for the subject of a message."""
    money, drift = facts["money"], facts["drift"]
    change = f"{money['day_change']} today, equity {money['equity']}" if money else "figures unknown"
    state = f"{drift['open_count']} open drift" if drift["open_count"] else "no open drift"
    return f"[{facts['account']}] {facts['day']}: {change}, {state}"


def as_markdown(facts: Facts, *, link: str) -> str:
    lines = [f"# Daily report: {escaped(facts['name'])} ({escaped(facts['environment'])}), {facts['day']}", ""]
    for section in (_money, _positions, _orders, _drift, _runs, _alerts, _journal):
        lines += [*section(facts), ""]
    lines.append(f"Made {facts['made_at']}. {link}")
    return "\n".join(lines) + "\n"


def _money(facts: Facts) -> Iterator[str]:
    yield "## Money"
    yield ""
    money = facts["money"]
    if money is None:
        yield "- Alpaca's figures were not read on this day."
    else:
        yield f"- Equity {money['equity']}, {money['day_change']} since the last close"
        yield f"- Cash {money['cash']}, buying power {money['buying_power']} (read {money['read_at']})"
    if facts["sending_halted"]:
        yield "- **Sending is halted.** No order leaves until a person resumes it."


def _positions(facts: Facts) -> Iterator[str]:
    risk = facts["total_risk"]
    without = f", {risk['without']} without a known risk" if risk["without"] else ""
    yield "## Positions"
    yield ""
    yield f"{facts['open_positions']} open; total risk {risk['sum']}{without}."
    if facts["positions"]:
        names = ("symbol", "side", "qty", "entry", "last", "unrealized", "stop", "target", "risk", "note")
        yield ""
        yield from _table(("Symbol", "Side", "Quantity", "Entry", "Last", "Result", "Stop", "Target", "Risk", "Note"),
                          facts["positions"], names)  # fmt: skip
    if facts["closed"]:
        yield ""
        yield "Closed on this day:"
        yield ""
        yield from (
            f"- {escaped(row['symbol'])}, {row['side']} {row['qty']}: {row['realized']}" for row in facts["closed"]
        )


def _orders(facts: Facts) -> Iterator[str]:
    states = ", ".join(f"{number} {escaped(state)}" for state, number in facts["orders_by_state"].items())
    yield "## Orders"
    yield ""
    orders, fills = counted(facts["order_count"], "order"), counted(facts["fill_count"], "fill")
    yield f"{orders}{f' ({states})' if states else ''}, {fills}."
    if facts["orders"]:
        names = ("symbol", "side", "qty", "type", "state", "filled", "price", "note")
        yield ""
        yield from _table(("Symbol", "Side", "Quantity", "Type", "State", "Filled", "Price", "Note"),
                          facts["orders"], names)  # fmt: skip
        yield from _more(facts["order_count"] - len(facts["orders"]))


def _drift(facts: Facts) -> Iterator[str]:
    drift = facts["drift"]
    yield "## Drift"
    yield ""
    yield (
        f"{drift['found_count']} found, {drift['repaired_count']} repaired and verified, "
        f"{drift['resolved_count']} resolved, {drift['open_count']} open."
    )
    for title, rows in (("Found", drift["found"]), ("Open", drift["open"])):
        if rows:
            yield ""
            yield f"{title}:"
            yield ""
        for row in rows:
            touched = f", {row['dollars']}" if row["dollars"] else ""
            yield f"- **{escaped(row['kind'])}** ({row['severity']}{touched}): {escaped(row['sentence'])}"
    if drift["repaired"]:
        yield ""
        yield "Repaired:"
        yield ""
        yield from (f"- {escaped(row['title'])} (approved by {escaped(row['by'])})" for row in drift["repaired"])


def _runs(facts: Facts) -> Iterator[str]:
    runs = facts["runs"]
    verdicts = ", ".join(f"{number} {verdict.lower()}" for verdict, number in runs["by_verdict"].items())
    yield "## Reconciliations"
    yield ""
    yield f"{counted(runs['count'], 'run')}{f' ({verdicts})' if verdicts else ''}."
    for word, line in (("At the close", runs["close"]), ("The last one", runs["last"])):
        if line is None:
            yield f"- {word}: none"
        else:
            reason = f" {escaped(line['reason'])}" if line["reason"] else ""
            yield f"- {word}: run {line['run']}, **{line['verdict'].lower()}**, {line['at']}.{reason}"


def _alerts(facts: Facts) -> Iterator[str]:
    yield "## Alerts"
    yield ""
    if not facts["alerts"]:
        yield "None."
    for row in facts["alerts"]:
        yield f"- {escaped(row['title'])} ({row['severity']}, {row['state'].lower()}): {escaped(row['sentence'])}"
    yield from _more(facts["alert_count"] - len(facts["alerts"]))


def _journal(facts: Facts) -> Iterator[str]:
    yield "## Journal"
    yield ""
    yield journal_line(facts)


def journal_line(facts: Facts) -> str:
    journal = facts["journal"]
    head = f"{journal['entries']}:{journal['digest']}"
    return (
        f"{counted(journal['entries'], 'entry', 'entries')}, head `{head}`. Kept outside the database, it proves later "
        "that no entry was cut off."
    )


def _table(heads: Sequence[str], rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(escaped(row[name]) for name in names)} |" for row in rows)


def _more(number: int) -> Iterator[str]:
    if number > 0:
        yield ""
        yield f"And {number} more."
