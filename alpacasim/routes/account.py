"""/v2/account: the account itself and its configurations."""

from typing import Any

from starlette.routing import Route

from .. import sessions
from ..call import Call, route
from ..errors import unprocessable
from ..numbers import ZERO, cents, plain
from ..requests import parse_flag
from ..times import format_instant, new_york_date
from ..venue import MARGIN

_FLAGS = (
    "disable_overnight_trading", "fractional_trading", "no_shorting", "ptp_no_exception_entry", "suspend_trade",
)  # fmt: skip
_WORDS = {"max_margin_multiplier": ("1", "2", "4"), "trade_confirm_email": ("all", "none")}


def get(call: Call) -> Any:
    venue, account = call.venue, call.account
    long_value, short_value = venue.market_values(account)
    gross = long_value - short_value
    equity = account.cash + long_value + short_value + account.equity_off
    power = plain(max(venue.buying_power(account), ZERO))
    return {
        "account_blocked": False,
        "account_number": account.account_number,
        "accrued_fees": "0",
        "admin_configurations": {},
        "balance_asof": new_york_date(sessions.previous_close(venue.clock.now())).isoformat(),
        "buying_power": power,
        "cash": plain(account.cash),
        "created_at": format_instant(account.created_at),
        "crypto_status": "ACTIVE",
        "crypto_tier": 1,
        "currency": "USD",
        "effective_buying_power": power,
        "equity": plain(equity),
        "id": account.id,
        "initial_margin": plain(gross * MARGIN),
        "intraday_adjustments": "0",
        "last_equity": plain(account.last_equity),
        "last_maintenance_margin": "0",
        "long_market_value": plain(long_value),
        "maintenance_margin": plain(cents(gross * 3 / 10)),
        "multiplier": min(account.configurations["max_margin_multiplier"], "2"),
        "non_marginable_buying_power": plain(max(account.cash, ZERO)),
        "options_approved_level": 0,
        "options_buying_power": "0",
        "options_trading_level": 0,
        "pending_reg_taf_fees": "0",
        "pending_transfer_in": "0",
        "portfolio_value": plain(equity),
        "position_market_value": plain(gross),
        "regt_buying_power": power,
        "short_market_value": plain(short_value),
        "shorting_enabled": not account.configurations["no_shorting"],
        "sma": "0",
        "status": account.status,
        "trade_suspended_by_user": account.configurations["suspend_trade"],
        "trading_blocked": account.trading_blocked,
        "transfers_blocked": False,
        "user_configurations": None,
    }


def configurations(call: Call) -> Any:
    return call.account.configurations


def configure(call: Call) -> Any:
    changes: dict[str, Any] = {}
    for name, value in call.body().items():
        if name in _FLAGS:
            changes[name] = parse_flag(name, value)
        elif name in _WORDS and value in _WORDS[name]:
            changes[name] = value
        elif name in _WORDS:
            raise unprocessable(f"invalid value for {name}: {value!r}")
    call.account.configurations |= changes
    call.account.mark_self()
    return call.account.configurations


ROUTES: list[Route] = [
    route("/v2/account", get=get),
    route("/v2/account/configurations", get=configurations, patch=configure),
]
