"""Answers as Alpaca writes them: every key, small values of our own."""

from typing import Any

from broker import times

ORDER_ID = "6b0f3a52-9d1c-4a55-8f6e-2f1f7c9f0a11"

START = times.nanoseconds("2025-11-06T13:00:00Z")
STEP = 50_000  # nanoseconds: several in one microsecond would be more than a clock can tell


def spelled(count: int) -> str:
    whole = times.from_nanoseconds(count - count % 1_000_000_000)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{count % 1_000_000_000:09d}Z"


def order_row(**changes: Any) -> dict[str, Any]:
    return {
        "asset_class": "us_equity",
        "asset_id": "8ccae427-5dd0-45b3-b5fe-7ba5e422c766",
        "canceled_at": None,
        "client_order_id": "swing-2025-11-06-QCOM",
        "created_at": "2025-11-06T13:00:00.104417225Z",
        "expired_at": None,
        "expires_at": "2025-11-06T21:00:00Z",
        "extended_hours": False,
        "failed_at": None,
        "filled_at": None,
        "filled_avg_price": None,
        "filled_qty": "0",
        "hwm": None,
        "id": ORDER_ID,
        "legs": None,
        "limit_price": "173.55",
        "notional": None,
        "order_class": "",
        "order_type": "limit",
        "position_intent": "buy_to_open",
        "qty": "12",
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "side": "buy",
        "source": None,
        "status": "new",
        "stop_price": None,
        "submitted_at": "2025-11-06T13:00:00.10691827Z",
        "subtag": None,
        "symbol": "QCOM",
        "time_in_force": "day",
        "trail_percent": None,
        "trail_price": None,
        "type": "limit",
        "updated_at": "2025-11-06T13:00:00.112Z",
        **changes,
    }


def fill_row(**changes: Any) -> dict[str, Any]:
    return {
        "activity_type": "FILL",
        "cum_qty": "12",
        "id": "20251106080000998::0d8f3f9c-55d8-4b0e-9a1d-6f2b9a3c7e10",
        "leaves_qty": "0",
        "order_id": ORDER_ID,
        "order_status": "filled",
        "price": "173.4821",
        "qty": "12",
        "side": "buy",
        "symbol": "QCOM",
        "transaction_time": "2025-11-06T13:00:00.998414Z",
        "type": "fill",
        **changes,
    }


def dividend_row(**changes: Any) -> dict[str, Any]:
    return {
        "activity_sub_type": "CDIV",
        "activity_type": "DIV",
        "created_at": "2025-11-07T09:12:44.650275Z",
        "currency": "USD",
        "date": "2025-11-06",
        "id": "20251106000000000::7f3c5a0e-2b7d-4b43-8f53-0a9f5f3f4f11",
        "net_amount": "10.68",
        "per_share_amount": "0.89",
        "qty": "12",
        "status": "executed",
        "symbol": "QCOM",
        **changes,
    }


def position_row(**changes: Any) -> dict[str, Any]:
    return {
        "asset_class": "us_equity",
        "asset_id": "8ccae427-5dd0-45b3-b5fe-7ba5e422c766",
        "asset_marginable": True,
        "avg_entry_price": "3648.1242857142857143",
        "current_price": "175.02",
        "exchange": "NASDAQ",
        "market_value": "2100.24",
        "qty": "12",
        "qty_available": "12",
        "side": "long",
        "symbol": "QCOM",
        "unrealized_pl": "18.4548",
        **changes,
    }


def account_row(**changes: Any) -> dict[str, Any]:
    return {
        "account_blocked": False,
        "account_number": "PA3XK2M7QW4Z",
        "buying_power": "199874.2",
        "cash": "98012.44",
        "created_at": "2025-03-02T17:41:09.51Z",
        "crypto_tier": 1,
        "equity": "100112.68",
        "id": "b1f5a6de-6f0e-4f0f-9b1b-2a2d3c4e5f60",
        "last_equity": "100003.120000000000001",
        "long_market_value": "2100.24",
        "short_market_value": "0",
        "status": "ACTIVE",
        "trade_suspended_by_user": False,
        "trading_blocked": False,
        **changes,
    }
