"""Every kind of drift: its group, how grave it is, and whether its repair is a safe copy of a broker fact."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    CRITICAL = "critical"  # money is at risk now
    HIGH = "high"  # the books are wrong
    MEDIUM = "medium"
    LOW = "low"


class Kind(StrEnum):
    INCOMPLETE_READ = "incomplete_read"
    WRONG_ACCOUNT = "wrong_account"
    ACCOUNT_RESET = "account_reset"
    UNCONFIRMED_SUBMIT = "unconfirmed_submit"
    ORDER_MISSING_AT_BROKER = "order_missing_at_broker"
    OUR_ORDER_UNLINKED = "our_order_unlinked"
    EXTERNAL_ORDER = "external_order"
    STATUS_BEHIND = "status_behind"
    FILLED_QTY_BEHIND = "filled_qty_behind"
    FILLED_QTY_AHEAD = "filled_qty_ahead"
    ZOMBIE_ORDER = "zombie_order"
    REPLACE_CHAIN = "replace_chain"
    MISSING_FILL = "missing_fill"
    PHANTOM_FILL = "phantom_fill"
    FILL_VALUES_DIFFER = "fill_values_differ"
    POSITION_BROKER_ONLY = "position_broker_only"
    POSITION_DATABASE_ONLY = "position_database_only"
    POSITION_QTY = "position_qty"
    POSITION_SIDE = "position_side"
    POSITION_AVG_PRICE = "position_avg_price"
    PENDING_NEVER_FILLED = "pending_never_filled"


@dataclass(frozen=True, slots=True)
class KindFacts:
    group: str
    severity: Severity
    title: str
    is_safe_copy: bool = False


KINDS: dict[Kind, KindFacts] = {
    Kind.INCOMPLETE_READ: KindFacts("evidence", Severity.CRITICAL, "The read is incomplete"),
    Kind.WRONG_ACCOUNT: KindFacts("evidence", Severity.CRITICAL, "Another account answers"),
    Kind.ACCOUNT_RESET: KindFacts("evidence", Severity.CRITICAL, "The account was reset"),
    Kind.UNCONFIRMED_SUBMIT: KindFacts("identity", Severity.CRITICAL, "Submit not confirmed", is_safe_copy=True),
    Kind.ORDER_MISSING_AT_BROKER: KindFacts("identity", Severity.HIGH, "Order missing at Alpaca"),
    Kind.OUR_ORDER_UNLINKED: KindFacts("identity", Severity.HIGH, "Our order is not recorded", is_safe_copy=True),
    Kind.EXTERNAL_ORDER: KindFacts("identity", Severity.MEDIUM, "Order from outside"),
    Kind.STATUS_BEHIND: KindFacts("order_state", Severity.HIGH, "Status behind", is_safe_copy=True),
    Kind.FILLED_QTY_BEHIND: KindFacts("order_state", Severity.HIGH, "Filled quantity behind", is_safe_copy=True),
    Kind.FILLED_QTY_AHEAD: KindFacts("order_state", Severity.CRITICAL, "Filled quantity ahead of Alpaca"),
    Kind.ZOMBIE_ORDER: KindFacts("order_state", Severity.CRITICAL, "Done here, still open at Alpaca"),
    Kind.REPLACE_CHAIN: KindFacts("order_state", Severity.HIGH, "Order was replaced", is_safe_copy=True),
    Kind.MISSING_FILL: KindFacts("fills", Severity.HIGH, "Fill missing", is_safe_copy=True),
    Kind.PHANTOM_FILL: KindFacts("fills", Severity.CRITICAL, "Fill unknown to Alpaca"),
    Kind.FILL_VALUES_DIFFER: KindFacts("fills", Severity.HIGH, "Fill values differ"),
    Kind.POSITION_BROKER_ONLY: KindFacts("positions", Severity.CRITICAL, "Position only at Alpaca"),
    Kind.POSITION_DATABASE_ONLY: KindFacts("positions", Severity.CRITICAL, "Position only in the database"),
    Kind.POSITION_QTY: KindFacts("positions", Severity.CRITICAL, "Position quantity differs"),
    Kind.POSITION_SIDE: KindFacts("positions", Severity.CRITICAL, "Position is on the other side"),
    Kind.POSITION_AVG_PRICE: KindFacts("positions", Severity.LOW, "Average price differs"),
    Kind.PENDING_NEVER_FILLED: KindFacts("positions", Severity.MEDIUM, "Pending entry never filled"),
}
