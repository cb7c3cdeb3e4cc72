"""What another stop and target would mean for one open position. Pure arithmetic: nothing is read and nothing changed.

Prices are dollars a share, percentages count from the average entry price, mirrored for a short. Distances are
fractions of the last price and negative once the price is beyond the level.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext

from positions.accounting import Side
from positions.exact_numbers import WIDE
from positions.risk import levels, on_tick

_ZERO = Decimal(0)
_HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What is held. `qty` may carry the sign of a short; only its size counts here."""

    side: Side
    qty: Decimal
    entry_price: Decimal
    last_price: Decimal | None

    @property
    def sign(self) -> int:
        """1 when a rising price is a profit, -1 when it is a loss."""
        return 1 if self.side == "long" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What a stop and a target mean. A figure that needs a level or a price that is not known is None.

    `risk_per_share` is what is lost from the entry to the stop: negative once the stop would secure a profit.
    `total_risk` is what counts as the position's risk, and so never below zero.
    """

    stop_loss: Decimal | None
    target: Decimal | None
    stop_loss_pct: Decimal | None
    target_pct: Decimal | None
    risk_per_share: Decimal | None
    total_risk: Decimal | None
    reward: Decimal | None
    reward_to_risk: Decimal | None
    stop_distance: Decimal | None
    target_distance: Decimal | None
    at_stake: Decimal | None  # dollars from the last price to the stop


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRisk:
    """The risk of all open positions together, in dollars; `share` in percent of equity."""

    dollars: Decimal
    share: Decimal | None
    unknown: int  # positions without a stop: not in the sum


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    before: Outlook
    after: Outlook
    open_risk_before: OpenRisk
    open_risk_after: OpenRisk
    warnings: tuple[str, ...]


def stop_at(holding: Holding, percent: Decimal) -> Decimal:
    """Return the stop that lies so many percent from the entry, on the tick."""
    return levels(
        entry_price=holding.entry_price, side=holding.side, stop_loss_pct=percent, target_pct=percent
    ).stop_loss


def target_at(holding: Holding, percent: Decimal) -> Decimal:
    return levels(entry_price=holding.entry_price, side=holding.side, stop_loss_pct=percent, target_pct=percent).target


def stop_percent(holding: Holding, stop_loss: Decimal) -> Decimal:
    """Return the percentage that puts the stop there, to the two places that parameters have."""
    return _percent(holding.sign * (holding.entry_price - stop_loss), holding.entry_price)


def target_percent(holding: Holding, target: Decimal) -> Decimal:
    return _percent(holding.sign * (target - holding.entry_price), holding.entry_price)


def _percent(part: Decimal, whole: Decimal) -> Decimal:
    with localcontext(WIDE):
        return (part / whole * 100).quantize(_HUNDREDTH, rounding=ROUND_HALF_UP)


def outlook(
    holding: Holding,
    *,
    stop_loss: Decimal | None,
    target: Decimal | None,
    stop_loss_pct: Decimal | None = None,
    target_pct: Decimal | None = None,
) -> Outlook:
    """Say what these levels mean. Percentages that are not given are those that come closest to the levels."""
    stop_loss, target = _on_tick(stop_loss), _on_tick(target)
    if stop_loss_pct is None and stop_loss is not None:
        stop_loss_pct = stop_percent(holding, stop_loss)
    if target_pct is None and target is not None:
        target_pct = target_percent(holding, target)
    size, last = abs(holding.qty), holding.last_price
    with localcontext(WIDE):
        risk = None if stop_loss is None else holding.sign * (holding.entry_price - stop_loss)
        gain = None if target is None else holding.sign * (target - holding.entry_price)
        return Outlook(
            stop_loss=stop_loss,
            target=target,
            stop_loss_pct=stop_loss_pct,
            target_pct=target_pct,
            risk_per_share=risk,
            total_risk=None if risk is None else max(risk, _ZERO) * size,
            reward=None if gain is None else gain * size,
            reward_to_risk=None if gain is None or risk is None or risk <= 0 else gain / risk,
            stop_distance=_distance(last, stop_loss, holding.sign),
            target_distance=_distance(last, target, -holding.sign),
            at_stake=None if last is None or stop_loss is None else holding.sign * (last - stop_loss) * size,
        )


def _on_tick(price: Decimal | None) -> Decimal | None:
    return None if price is None else on_tick(price)


def _distance(last: Decimal | None, level: Decimal | None, sign: int) -> Decimal | None:
    return None if not last or level is None else sign * (last - level) / last


def compare(
    holding: Holding,
    *,
    before: Outlook,
    after: Outlook,
    other_risk: Decimal,
    others_unknown: int,
    equity: Decimal | None,
) -> WhatIf:
    """Put both outlooks side by side. `other_risk` is what the account's other open positions risk, in dollars."""
    return WhatIf(
        before=before,
        after=after,
        open_risk_before=_open_risk(before, other_risk, others_unknown, equity),
        open_risk_after=_open_risk(after, other_risk, others_unknown, equity),
        warnings=tuple(_warnings(holding, after)),
    )


def _open_risk(mine: Outlook, other_risk: Decimal, others_unknown: int, equity: Decimal | None) -> OpenRisk:
    with localcontext(WIDE):
        total = other_risk + (mine.total_risk or _ZERO)
        share = total / equity * 100 if equity and equity > 0 else None
    return OpenRisk(dollars=total, share=share, unknown=others_unknown + (mine.total_risk is None))


def _warnings(holding: Holding, after: Outlook) -> list[str]:
    """Say what a person should know before making it real, in whole sentences, gravest first."""
    below, above = ("below", "above") if holding.side == "long" else ("above", "below")
    found = []
    if after.stop_distance is not None and after.stop_distance <= 0:
        found.append(f"The stop is not {below} the last price: it would trigger at once.")
    if after.target_distance is not None and after.target_distance <= 0:
        found.append(f"The target is not {above} the last price: it is reached already.")
    if after.risk_per_share is not None and after.risk_per_share <= 0:
        found.append(
            f"The stop is not {below} the entry: hit there, the position loses nothing. Parameters cannot say this, "
            "they lie on the losing side of the entry."
        )
    if after.reward is not None and after.reward <= 0:
        found.append(f"The target is not {above} the entry: reached there, the position earns nothing.")
    if after.reward_to_risk is not None and 0 < after.reward_to_risk < 1:
        found.append("It risks more than it can earn.")
    if holding.last_price is None:
        found.append("No last price is known: whether the stop would trigger at once cannot be said.")
    return found
