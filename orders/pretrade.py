"""Judge the orders of a batch as a whole against what is known of assets, account and market. Pure.

An error refuses the batch; a warning is shown and recorded with it. Dollar limits need a price: the order's own
limit, else the latest trade, else the price of the position that is held (orders/reference_price.py); without any
the limit cannot be checked, and says so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from broker.types import BrokerAsset, BrokerClock, BrokerPosition
from orders.batch_line import Line, LineError
from orders.exits_first import judge_exits_first, unguarded_meanwhile
from orders.held_shares import held_by_exits
from orders.order_class import OCO
from orders.reference_price import ReferencePrice, reference_price

NEW_YORK = ZoneInfo("America/New_York")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFacts:
    """`blocked` is the reason why Alpaca takes no orders for the account, empty if it does."""

    name: str
    buying_power: Decimal
    blocked: str
    sending_halted: bool
    max_order_notional: Decimal
    max_batch_notional: Decimal
    max_batch_orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the judgement rests on. `assets` has None for a symbol that Alpaca does not know.

    `prices_unread` is a sentence: why the latest prices could not be read; empty if they were.
    """

    account: AccountFacts
    assets: Mapping[str, BrokerAsset | None]
    positions: Mapping[str, BrokerPosition]
    clock: BrokerClock
    latest_prices: Mapping[str, Decimal] = field(default_factory=dict)
    prices_unread: str = ""
    duplicate_of: int | None = None
    duplicate_recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Review:
    errors: tuple[LineError, ...]
    warnings: tuple[str, ...]
    notional: Decimal  # of all buys whose price is known
    costs: Mapping[int, "Cost"]  # by line number


@dataclass(slots=True)
class _Findings:
    errors: list[LineError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    costs: dict[int, "Cost"] = field(default_factory=dict)

    def refuse(self, line: Line | None, name: str, message: str) -> None:
        self.errors.append(LineError(line.number if line else None, name, message))


def review(lines: Sequence[Line], facts: Facts) -> Review:
    """Return every reason against sending these orders, and every thing to know before sending them."""
    findings = _Findings()
    _judge_account(lines, facts, findings)
    tradable = [line for line in lines if _judge_asset(line, facts.assets.get(line.symbol), findings)]
    _judge_sells(tradable, facts, findings)
    _judge_covers(tradable, facts, findings)
    notional = _judge_dollars(tradable, facts, findings)
    findings.errors.extend(judge_exits_first(tradable, facts.positions))
    findings.warnings.extend(unguarded_meanwhile(tradable))
    findings.warnings.extend(held_by_exits(tradable, facts.positions))
    _warn_of_both_sides(tradable, findings)
    _warn_of_market(facts, findings)
    return Review(tuple(findings.errors), tuple(findings.warnings), notional, findings.costs)


def _judge_account(lines: Sequence[Line], facts: Facts, findings: _Findings) -> None:
    account = facts.account
    if account.blocked:
        findings.refuse(None, "account", f"expected an account that may trade, found that {account.blocked}")
    if len(lines) > account.max_batch_orders:
        message = f"expected at most {account.max_batch_orders} orders in a batch, found {len(lines)}"
        findings.refuse(None, "", message)
    if facts.duplicate_of is not None:
        when = "" if facts.duplicate_recorded_at is None else f", recorded {_new_york(facts.duplicate_recorded_at)}"
        message = f"expected orders that were not recorded in the last day, found those of batch {facts.duplicate_of}"
        findings.refuse(None, "", message + when)
    if account.sending_halted:
        findings.warnings.append(f"Sending is halted for {account.name}: the orders wait until it is resumed.")


def _judge_asset(line: Line, asset: BrokerAsset | None, findings: _Findings) -> bool:
    """Refuse what cannot be traded; return whether the other rules can be applied to the line."""
    if asset is None:
        findings.refuse(line, "symbol", f"expected a symbol that Alpaca knows, found '{line.symbol}'")
        return False
    if asset.status != "active" or not asset.tradable:
        state = "not tradable" if asset.status == "active" else asset.status
        findings.refuse(line, "symbol", f"expected a tradable asset, found {line.symbol}, which is {state}")
        return False
    if asset.asset_class != "us_equity":
        findings.refuse(line, "symbol", f"expected a US stock or fund, found {line.symbol} ({asset.asset_class})")
        return False
    if not asset.fractionable:
        name = "notional" if line.notional is not None else "qty"
        if not _is_whole(line):
            found = spell(line.notional if line.qty is None else line.qty)
            findings.refuse(
                line, name, f"expected whole shares, since {line.symbol} is not fractionable, found {found}"
            )
    return True


def _judge_sells(lines: Iterable[Line], facts: Facts, findings: _Findings) -> None:
    """What is sold beyond the shares held is a short sale: it needs a shortable asset and whole shares."""
    left = {symbol: max(position.qty, ZERO) for symbol, position in facts.positions.items()}
    shorts = []
    for line in lines:
        if line.side != "sell":
            continue
        held = left.get(line.symbol, ZERO)
        if line.qty is None:
            if held == 0:
                findings.refuse(
                    line, "notional", f"expected shares of {line.symbol} to sell by notional, found none held"
                )
            continue
        left[line.symbol] = max(held - line.qty, ZERO)
        if line.qty <= held:
            continue
        asset = facts.assets[line.symbol]
        if line.order_class == OCO:
            message = f"expected at most the {spell(held)} shares held, since an oco order only closes"
            findings.refuse(line, "qty", f"{message}, found {spell(line.qty)}")
            continue
        if asset is not None and asset.shortable and _is_whole(line):
            shorts.append(line.symbol)
            continue
        reason = "parts of shares" if asset is not None and asset.shortable else line.symbol
        message = f"expected at most the {spell(held)} shares held, since {reason} cannot be sold short"
        findings.refuse(line, "qty", f"{message}, found {spell(line.qty)}")
    if shorts:
        findings.warnings.append(f"More is sold than is held, which opens a short position: {_listed(shorts)}.")


def _judge_covers(lines: Iterable[Line], facts: Facts, findings: _Findings) -> None:
    """An OCO that buys closes a short position, and needs one."""
    short = {symbol: max(-position.qty, ZERO) for symbol, position in facts.positions.items()}
    for line in lines:
        if line.order_class != OCO or line.side != "buy" or line.qty is None:
            continue
        held = short.get(line.symbol, ZERO)
        short[line.symbol] = max(held - line.qty, ZERO)
        if line.qty > held:
            message = f"expected at most the {spell(held)} shares held short, since an oco order only closes"
            findings.refuse(line, "qty", f"{message}, found {spell(line.qty)}")


def _judge_dollars(lines: Sequence[Line], facts: Facts, findings: _Findings) -> Decimal:
    account = facts.account
    unpriced: list[str] = []
    spent, needed = _Total(account.max_batch_notional), _Total(account.buying_power)
    to_cover = {symbol: max(-position.qty, ZERO) for symbol, position in facts.positions.items()}
    for line in lines:
        price = reference_price(line, facts.latest_prices, facts.positions)
        dollars = _dollars(line, price)
        if dollars is None:
            unpriced.append(line.symbol)
            continue
        cost = findings.costs[line.number] = Cost(line, dollars, price)
        if dollars > account.max_order_notional:
            message = f"expected an order of at most ${_money(account.max_order_notional)}, found {cost}"
            findings.refuse(line, cost.field, message)
        if line.side == "buy":
            spent.add(cost, dollars)
            needed.add(cost, dollars * _opening_part(line, to_cover))
    needed.judge("expected buys within the buying power of", findings)
    spent.judge("expected buys in a batch within its limit of", findings)
    if unpriced:
        text = f"No price is known for {_listed(unpriced)}: dollar limits and buying power could not be checked."
        findings.warnings.append(f"{text} {facts.prices_unread}".strip())
    return spent.dollars


def _dollars(line: Line, price: ReferencePrice | None) -> Decimal | None:
    if line.notional is not None:
        return line.notional
    return None if price is None or line.qty is None else line.qty * price.dollars


@dataclass(frozen=True, slots=True)
class Cost:
    line: Line
    dollars: Decimal
    price: ReferencePrice | None

    @property
    def field(self) -> str:
        return "qty" if self.line.notional is None else "notional"

    def __str__(self) -> str:
        if self.line.notional is not None:
            return f"${_money(self.dollars)}"
        return f"${_money(self.dollars)} ({spell(self.line.qty)} × {self.price})"


@dataclass(slots=True)
class _Total:
    """What lines cost together. The line that takes them over the limit is the one that is named."""

    most: Decimal
    dollars: Decimal = ZERO
    over: Cost | None = None

    def add(self, cost: Cost, dollars: Decimal) -> None:
        self.dollars += dollars
        if self.over is None and self.dollars > self.most:
            self.over = cost

    def judge(self, expectation: str, findings: _Findings) -> None:
        if self.over is not None:
            message = f"{expectation} ${_money(self.most)}, found ${_money(self.dollars)} in all"
            findings.refuse(self.over.line, self.over.field, f"{message}; this order goes over it: {self.over}")


def _opening_part(line: Line, to_cover: dict[str, Decimal]) -> Decimal:
    """Return the share of a buy that opens: buying back a short needs no buying power."""
    if line.qty is None:
        return Decimal(1)
    covered = min(to_cover.get(line.symbol, ZERO), line.qty)
    if covered:
        to_cover[line.symbol] -= covered
    return (line.qty - covered) / line.qty


def _warn_of_both_sides(lines: Iterable[Line], findings: _Findings) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        if not line.order_class and line.order_type != "trailing_stop":  # Alpaca lets the others be
            sides[line.symbol].add(line.side)
    both = [symbol for symbol, found in sides.items() if len(found) == 2]
    if both:
        text = "Bought and sold in one batch, which Alpaca may refuse as a wash trade: {}."
        findings.warnings.append(text.format(_listed(both)))


def _warn_of_market(facts: Facts, findings: _Findings) -> None:
    if not facts.clock.is_open:
        opens = _new_york(facts.clock.next_open)
        findings.warnings.append(f"The market is closed; it opens {opens}. Orders sent before then wait at Alpaca.")


def _is_whole(line: Line) -> bool:
    return line.qty is not None and line.qty == line.qty.to_integral_value()


def _listed(symbols: Iterable[str]) -> str:
    return ", ".join(sorted(Counter(symbols)))


def _money(dollars: Decimal) -> str:
    return f"{dollars:,.2f}"


def spell(number: Decimal | None) -> str:
    return "nothing" if number is None else format(number, "f")


def _new_york(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%a %-d %b %H:%M} New York time"
