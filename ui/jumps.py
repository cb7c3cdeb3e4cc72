"""The keys that lead to a page after `g`. The help lists them as links, and keyboard.js follows those."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Jump:
    """`to`: the name of the page's address."""

    key: str
    label: str
    to: str
    needs_staff: bool = False


JUMPS = (
    Jump("o", "Overview", "overview"),
    Jump("p", "Positions", "positions:list"),
    Jump("r", "Orders", "orders:list"),
    Jump("b", "Batches", "orders:batches"),
    Jump("c", "Reconciliation", "reconciliation:index"),
    Jump("n", "Runs", "reconciliation:runs"),
    Jump("t", "Protection", "protection"),
    Jump("i", "Insight", "insight"),
    Jump("l", "Alerts", "alerts:list"),
    Jump("u", "Audit", "audit:list"),
    Jump("s", "System", "system"),
    Jump("a", "Admin", "admin:index", needs_staff=True),
)
