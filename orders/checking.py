"""Check a batch as a whole before anything of it is recorded: the file first, then Alpaca's view of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from django.conf import settings

from broker.errors import BrokerUnauthorized, BrokerUnavailable, NotFound
from broker.gateway import Gateway, open_gateway
from broker.models import Account, ProtectionPlan
from broker.types import BrokerAccount, BrokerAsset
from orders.batch_file import content_digest, read_batch_file
from orders.batch_line import Line, LineError
from orders.bracketing import Bracketed, Exits, bracketed, level_books
from orders.exits_first import with_exits_first
from orders.models import Batch
from orders.pretrade import AccountFacts, Cost, Facts, review
from orders.reference_price import needs_market_price

#: Up to this many symbols are asked for one by one; above it one long list is the smaller cost.
SINGLE_ASSETS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBatch:
    """A batch as it was checked. It can be recorded only if it has no error."""

    name: str
    source: str
    lines: tuple[Line, ...]
    errors: tuple[LineError, ...] = ()
    warnings: tuple[str, ...] = ()
    notional: Decimal = Decimal(0)
    #: By line number, what the order is reckoned to cost or bring; a line without a known price is left out.
    costs: Mapping[int, Cost] = field(default_factory=dict)
    duplicate_of: int | None = None
    digest: str = ""

    @property
    def is_usable(self) -> bool:
        return bool(self.lines) and not self.errors


def check_batch(
    *,
    account: Account,
    data: bytes,
    filename: str,
    now: datetime,
    agreed: Mapping[int, Exits] = MappingProxyType({}),
    cancel_exits_first: bool = False,
) -> CheckedBatch:
    """Check a CSV or JSON file. Nobody is asked about a file that cannot be used anyway.

    `agreed` has, by line, the exits of brackets that a person was shown: they stay, though prices have moved since.
    With `cancel_exits_first` every line that closes a position has that option, as if it stood in the file.

    Raises BrokerError when Alpaca could not be asked: then nothing is known, and nothing may be recorded.
    """
    limits = {"max_bytes": settings.BATCH_FILE_MAX_BYTES, "max_lines": settings.BATCH_FILE_MAX_LINES}
    file = read_batch_file(data, filename, **limits)
    if file.errors:
        return CheckedBatch(name=filename, source=file.source, lines=file.lines, errors=file.errors)
    return check_lines(
        account=account,
        lines=file.lines,
        name=filename,
        source=file.source,
        now=now,
        agreed=agreed,
        cancel_exits_first=cancel_exits_first,
    )


def check_lines(
    *,
    account: Account,
    lines: Sequence[Line],
    name: str,
    source: str = "code",
    now: datetime,
    agreed: Mapping[int, Exits] = MappingProxyType({}),
    cancel_exits_first: bool = False,
) -> CheckedBatch:
    """Check orders that code has made; what follows is the same as for a file.

    The digest is of the lines as they came: the same file is the same, whatever exits the account's plan gives it.
    """
    digest = content_digest(lines)
    duplicate = Batch.objects.repeating(account.pk, digest, now).order_by("-created_at").first()
    given = {"name": name, "source": source, "digest": digest}
    return _judge(account, lines, duplicate, **given, agreed=agreed, cancel_exits_first=cancel_exits_first)


def check_line_again(*, account: Account, line: Line) -> CheckedBatch:
    """Check an order that is recorded already, before it is sent again: it is no duplicate of itself."""
    return _judge(account, [line], None, name=f"line {line.number}", source="code", digest="")


def _judge(
    account: Account,
    lines: Sequence[Line],
    duplicate: Batch | None,
    *,
    name: str,
    source: str,
    digest: str,
    agreed: Mapping[int, Exits] | None = None,
    cancel_exits_first: bool = False,
) -> CheckedBatch:
    """Without `agreed` the lines are recorded already, and are sent as they are."""
    facts = _facts(account, lines, duplicate)
    if cancel_exits_first:
        lines = with_exits_first(lines, facts.positions)
    planned = Bracketed(tuple(lines))
    if agreed is not None and account.protection_plan == ProtectionPlan.BRACKET:
        planned = _bracketed(account, lines, facts, agreed)
    judged = review(planned.lines, facts)
    return CheckedBatch(
        name=name,
        source=source,
        lines=planned.lines,
        errors=(*planned.errors, *judged.errors),
        warnings=(*planned.warnings, *judged.warnings),
        notional=judged.notional,
        costs=judged.costs,
        duplicate_of=duplicate.pk if duplicate else None,
        digest=digest,
    )


def _bracketed(account: Account, lines: Sequence[Line], facts: Facts, agreed: Mapping[int, Exits]) -> Bracketed:
    symbols = {line.symbol for line in lines}
    [level_book] = level_books
    return bracketed(
        lines,
        book=level_book(account, symbols),
        positions=facts.positions,
        latest=facts.latest_prices,
        agreed=agreed,
    )


def _facts(account: Account, lines: Sequence[Line], duplicate: Batch | None) -> Facts:
    gateway = open_gateway(account)
    broker_account = gateway.get_account()
    account.refresh_from_db()
    assets = _assets(gateway, {line.symbol for line in lines})
    latest_prices, prices_unread = _latest_prices(gateway, lines, assets)
    return Facts(
        account=AccountFacts(
            name=account.name,
            buying_power=broker_account.buying_power,
            blocked=_blocked(account, broker_account),
            sending_halted=account.sending_halted,
            max_order_notional=account.max_order_notional,
            max_batch_notional=account.max_batch_notional,
            max_batch_orders=account.max_batch_orders,
        ),
        assets=assets,
        positions={position.symbol: position for position in gateway.list_positions()},
        clock=gateway.get_clock(),
        latest_prices=latest_prices,
        prices_unread=prices_unread,
        duplicate_of=duplicate.pk if duplicate else None,
        duplicate_recorded_at=duplicate.created_at if duplicate else None,
    )


def _blocked(account: Account, facts: BrokerAccount) -> str:
    if account.is_bound and facts.account_id != account.broker_account_id:
        return f"another account answers: {facts.account_number} instead of {account.broker_account_number}"
    if not account.is_active:
        return f"{account.name} is switched off here"
    if facts.account_blocked:
        return "Alpaca has blocked it"
    if facts.trading_blocked:
        return "Alpaca has blocked its trading"
    return "its trading is suspended by its owner at Alpaca" if facts.trade_suspended_by_user else ""


def _assets(gateway: Gateway, symbols: set[str]) -> dict[str, BrokerAsset | None]:
    if len(symbols) > SINGLE_ASSETS:
        known = {asset.symbol: asset for asset in gateway.list_assets()}
        return {symbol: known.get(symbol) for symbol in symbols}
    found: dict[str, BrokerAsset | None] = {}
    for symbol in sorted(symbols):
        try:
            found[symbol] = gateway.get_asset(symbol)
        except NotFound:
            found[symbol] = None
    return found


def _latest_prices(
    gateway: Gateway, lines: Sequence[Line], assets: Mapping[str, BrokerAsset | None]
) -> tuple[dict[str, Decimal], str]:
    """Return the prices of what orders at the market name, or none and the reason.

    Market data is another service than trading: a batch need not wait for it, but its warning says what is unchecked.
    """
    symbols = {line.symbol for line in lines if needs_market_price(line) and _is_stock(assets[line.symbol])}
    if not symbols:
        return {}, ""
    try:
        return gateway.latest_prices(symbols), ""
    except (BrokerUnavailable, BrokerUnauthorized) as error:
        return {}, f"The latest trades could not be read: {error}"


def _is_stock(asset: BrokerAsset | None) -> bool:
    return asset is not None and asset.asset_class == "us_equity"
