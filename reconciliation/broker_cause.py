"""Tell the orders that Alpaca makes by itself: liquidations, buy-ins, the ends of options. Pure.

Alpaca documents no flag for them. What is taken for proof is its own words: `source` (orders sent with a key say
`access_key` or nothing), the shape of the client_order_id, and an activity that is no trade and names the order.
An order without such a word counts as somebody's.
"""

from collections.abc import Sequence

from broker.types import BrokerActivity, BrokerOrder

#: A part of the word → what people are told.
_TELLING_WORDS = {
    "liquidat": "liquidation",
    "margin_call": "margin call",
    "margincall": "margin call",
    "buy_in": "buy-in",
    "buyin": "buy-in",
    "forced": "forced close",
    "corporate_action": "corporate action",
    "dnr": "cancelled for a corporate action",
    "auto_exercise": "exercise of an option",
    "assignment": "assignment of an option",
}
#: Activities that are no trade and may name the order that carried them out.
_TELLING_ACTIVITIES = {
    "OPEXP": "expiry of an option",
    "OPASN": "assignment of an option",
    "OPEXC": "exercise of an option",
    "OPCSH": "settlement of an option",
    "REORG": "reorganisation",
    "MA": "merger",
}


def broker_cause(order: BrokerOrder, activities: Sequence[BrokerActivity]) -> str:
    """Return why Alpaca made this order, in words; empty when nothing says that it did."""
    for activity in activities:
        named = str(activity.raw.get("order_id") or "")
        if named == order.broker_order_id and activity.activity_type in _TELLING_ACTIVITIES:
            return _TELLING_ACTIVITIES[activity.activity_type]
    for said in (str(order.raw.get("source") or ""), order.client_order_id, order.subtag):
        word = said.lower().replace("-", "_").replace(" ", "_")
        for part, cause in _TELLING_WORDS.items():
            # An id is random letters: only what begins with the word says it.
            if word.startswith(part) or (said != order.client_order_id and part in word):
                return cause
    return ""
