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
    RESTRICTED_ACCOUNT = "restricted_account"
    STREAM_GAP = "stream_gap"
    CLOCK_SKEW = "clock_skew"
    UNCONFIRMED_SUBMIT = "unconfirmed_submit"
    ORDER_MISSING_AT_BROKER = "order_missing_at_broker"
    OUR_ORDER_UNLINKED = "our_order_unlinked"
    EXTERNAL_ORDER = "external_order"
    BROKER_GENERATED_ORDER = "broker_generated_order"
    DUPLICATE_SUBMISSION = "duplicate_submission"
    STATUS_BEHIND = "status_behind"
    FILLED_QTY_BEHIND = "filled_qty_behind"
    FILLED_QTY_AHEAD = "filled_qty_ahead"
    ZOMBIE_ORDER = "zombie_order"
    REPLACE_CHAIN = "replace_chain"
    STUCK_ORDER = "stuck_order"
    REFUSED_CHANGE = "refused_change"
    TERMS_DIFFER = "terms_differ"
    LATE_FILL = "late_fill"
    UNKNOWN_STATUS = "unknown_status"
    MISSING_FILL = "missing_fill"
    PHANTOM_FILL = "phantom_fill"
    FILL_VALUES_DIFFER = "fill_values_differ"
    FILL_BUSTED = "fill_busted"
    FILL_SUM_MISMATCH = "fill_sum_mismatch"
    INFERRED_SUPERSEDED = "inferred_superseded"
    POSITION_BROKER_ONLY = "position_broker_only"
    POSITION_DATABASE_ONLY = "position_database_only"
    POSITION_QTY = "position_qty"
    POSITION_SIDE = "position_side"
    POSITION_AVG_PRICE = "position_avg_price"
    PENDING_NEVER_FILLED = "pending_never_filled"
    CLOSED_WITHOUT_EXIT = "closed_without_exit"
    POSITION_DUST = "position_dust"
    NAKED_POSITION = "naked_position"
    STOP_QTY = "stop_qty"
    STOP_PRICE = "stop_price"
    WRONG_STOP = "wrong_stop"
    TARGET_MISSING = "target_missing"
    ORPHAN_EXIT = "orphan_exit"
    BROKEN_OCO = "broken_oco"
    PARTIAL_BRACKET = "partial_bracket"
    DOUBLE_PROTECTION = "double_protection"
    SPLIT = "split"
    SYMBOL_CHANGE = "symbol_change"
    TRANSFER = "transfer"
    CASH_ACTIVITY = "cash_activity"
    CASH = "cash"
    EQUITY = "equity"


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
    Kind.RESTRICTED_ACCOUNT: KindFacts("evidence", Severity.CRITICAL, "Alpaca restricts the account"),
    Kind.STREAM_GAP: KindFacts("evidence", Severity.HIGH, "The stream has a gap"),
    Kind.CLOCK_SKEW: KindFacts("evidence", Severity.MEDIUM, "The clocks differ"),
    Kind.UNCONFIRMED_SUBMIT: KindFacts("identity", Severity.CRITICAL, "Submit not confirmed", is_safe_copy=True),
    Kind.ORDER_MISSING_AT_BROKER: KindFacts("identity", Severity.HIGH, "Order missing at Alpaca"),
    Kind.OUR_ORDER_UNLINKED: KindFacts("identity", Severity.HIGH, "Our order is not recorded", is_safe_copy=True),
    Kind.EXTERNAL_ORDER: KindFacts("identity", Severity.MEDIUM, "Order from outside"),
    Kind.BROKER_GENERATED_ORDER: KindFacts("identity", Severity.HIGH, "Alpaca made an order itself"),
    Kind.DUPLICATE_SUBMISSION: KindFacts("identity", Severity.CRITICAL, "Sent twice"),
    Kind.STATUS_BEHIND: KindFacts("order_state", Severity.HIGH, "Status behind", is_safe_copy=True),
    Kind.FILLED_QTY_BEHIND: KindFacts("order_state", Severity.HIGH, "Filled quantity behind", is_safe_copy=True),
    Kind.FILLED_QTY_AHEAD: KindFacts("order_state", Severity.CRITICAL, "Filled quantity ahead of Alpaca"),
    Kind.ZOMBIE_ORDER: KindFacts("order_state", Severity.CRITICAL, "Done here, still open at Alpaca"),
    Kind.REPLACE_CHAIN: KindFacts("order_state", Severity.HIGH, "Order was replaced", is_safe_copy=True),
    Kind.STUCK_ORDER: KindFacts("order_state", Severity.MEDIUM, "Order is stuck between states"),
    Kind.REFUSED_CHANGE: KindFacts("order_state", Severity.HIGH, "A change was refused"),
    Kind.TERMS_DIFFER: KindFacts("order_state", Severity.HIGH, "Terms of the order differ"),
    Kind.LATE_FILL: KindFacts("order_state", Severity.CRITICAL, "Filled after it had ended", is_safe_copy=True),
    Kind.UNKNOWN_STATUS: KindFacts("order_state", Severity.MEDIUM, "Unknown status"),
    Kind.MISSING_FILL: KindFacts("fills", Severity.HIGH, "Fill missing", is_safe_copy=True),
    Kind.PHANTOM_FILL: KindFacts("fills", Severity.CRITICAL, "Fill unknown to Alpaca"),
    Kind.FILL_VALUES_DIFFER: KindFacts("fills", Severity.HIGH, "Fill values differ"),
    Kind.FILL_BUSTED: KindFacts("fills", Severity.CRITICAL, "Fill busted or corrected"),
    Kind.FILL_SUM_MISMATCH: KindFacts("fills", Severity.HIGH, "Fills do not add up"),
    Kind.INFERRED_SUPERSEDED: KindFacts("fills", Severity.HIGH, "A guess has its true fill", is_safe_copy=True),
    Kind.POSITION_BROKER_ONLY: KindFacts("positions", Severity.CRITICAL, "Position only at Alpaca"),
    Kind.POSITION_DATABASE_ONLY: KindFacts("positions", Severity.CRITICAL, "Position only in the database"),
    Kind.POSITION_QTY: KindFacts("positions", Severity.CRITICAL, "Position quantity differs"),
    Kind.POSITION_SIDE: KindFacts("positions", Severity.CRITICAL, "Position is on the other side"),
    Kind.POSITION_AVG_PRICE: KindFacts("positions", Severity.LOW, "Average price differs"),
    Kind.PENDING_NEVER_FILLED: KindFacts("positions", Severity.MEDIUM, "Pending entry never filled"),
    Kind.CLOSED_WITHOUT_EXIT: KindFacts("positions", Severity.HIGH, "Closed without an exit"),
    Kind.POSITION_DUST: KindFacts("positions", Severity.LOW, "Dust"),
    Kind.NAKED_POSITION: KindFacts("protection", Severity.CRITICAL, "Position without a live stop"),
    Kind.STOP_QTY: KindFacts("protection", Severity.CRITICAL, "Stop for another quantity"),
    Kind.STOP_PRICE: KindFacts("protection", Severity.HIGH, "Stop at another price"),
    Kind.WRONG_STOP: KindFacts("protection", Severity.HIGH, "Stop of the wrong sort"),
    Kind.TARGET_MISSING: KindFacts("protection", Severity.MEDIUM, "Target missing"),
    Kind.ORPHAN_EXIT: KindFacts("protection", Severity.CRITICAL, "Exit order without a position"),
    Kind.BROKEN_OCO: KindFacts("protection", Severity.CRITICAL, "Broken pair of exits"),
    Kind.PARTIAL_BRACKET: KindFacts("protection", Severity.HIGH, "Partly filled bracket guards nothing"),
    Kind.DOUBLE_PROTECTION: KindFacts("protection", Severity.CRITICAL, "More stops than shares"),
    Kind.SPLIT: KindFacts("corporate", Severity.HIGH, "Split"),
    Kind.SYMBOL_CHANGE: KindFacts("corporate", Severity.HIGH, "Symbol changed"),
    Kind.TRANSFER: KindFacts("corporate", Severity.HIGH, "Shares transferred"),
    Kind.CASH_ACTIVITY: KindFacts("corporate", Severity.LOW, "Cash entry not recorded", is_safe_copy=True),
    Kind.CASH: KindFacts("cash", Severity.MEDIUM, "Cash differs"),
    Kind.EQUITY: KindFacts("cash", Severity.MEDIUM, "Equity differs"),
}
