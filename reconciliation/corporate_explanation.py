"""What follows from a split, a new symbol or a transfer. Pure."""

from collections.abc import Sequence

from reconciliation.difference import Difference
from reconciliation.kinds import KINDS, Kind


def told_causes(differences: Sequence[Difference]) -> dict[str, str | None]:
    """Causes that their own comparison has proved: it says which differences it explains to the last share."""
    keys = {difference.key for difference in differences}
    return {key: cause.key for cause in differences for key in cause.explains if key in keys}


def rescaled_causes(differences: Sequence[Difference]) -> dict[str, str | None]:
    """Stop and target are planned in old shares, or under the old name, until the books follow."""
    rescaled = {d.symbol: d.key for d in differences if d.kind in {Kind.SPLIT, Kind.SYMBOL_CHANGE} and d.explains}
    new = {d.broker["symbol"]: d.key for d in differences if d.kind == Kind.SYMBOL_CHANGE}
    causes = {**rescaled, **new}
    return {d.key: causes[d.symbol] for d in differences if KINDS[d.kind].group == "protection" and d.symbol in causes}
