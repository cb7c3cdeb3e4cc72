"""Why nothing is proposed for a kind of difference, in words for people."""

from reconciliation.kinds import Kind

WITHOUT_LAST_SHARE = (
    "Alpaca's entries do not lead to its position to the last share. Repair what else differs in this symbol first; "
    "then it is proposed, or else the correction of the position that stands in for it."
)
#: For kinds of which some, or all, have no repair that our books or a cancel could be.
WITHOUT_FIX: dict[Kind, str] = {
    Kind.DUPLICATE_SUBMISSION: (
        "The second order can still fill: cancel it at Alpaca, here or in its app. What is left of it is proposed for "
        "the books then."
    ),
    Kind.ORDER_MISSING_AT_BROKER: (
        "It has fills in our books, and what it filled may be real. Look whether this is the right account, and ask "
        "Alpaca."
    ),
    Kind.STUCK_ORDER: (
        "Nothing in our database is wrong. Look at the order at Alpaca; cancel it there, or ask its support, if it "
        "stays so."
    ),
    Kind.UNKNOWN_STATUS: (
        "The word is kept as Alpaca says it. Nothing is done about the order until Alpaca says a word that is known, "
        "or this program learns it."
    ),
    Kind.FILL_SUM_MISMATCH: (
        "Alpaca's own list does not say which fill is missing or too many. Reconcile again, in full: a fill is booked "
        "or taken out only by its own id."
    ),
    Kind.CLOSED_WITHOUT_EXIT: (
        "It needs a value: no fill says at what price it was left, and none is made up. Find the exit in Alpaca's "
        "statement and enter its price. If it is entered and no fix follows, the books and Alpaca's position do not "
        "meet at that exit: repair the position first."
    ),
    Kind.POSITION_DUST: "No order can sell so little. It goes with the next sale of the rest, or is ignored.",
    Kind.NAKED_POSITION: (
        "No stop can be placed as planned: none is planned, the price is beyond it already, or other orders hold the "
        "shares. Set a stop, or close the position at Alpaca."
    ),
    Kind.TARGET_MISSING: (
        "Alpaca lets one order hold the shares, and an exit does. One plain stop of ours for all that is held can be "
        "replaced by an OCO of both; this is another, or the price is not between both levels now."
    ),
    Kind.WRONG_STOP: "The price has passed the stop: it sells as soon as it can. Look at the order at Alpaca.",
    Kind.STOP_PRICE: (
        "The stop cannot be moved to the plan now: the price is beyond it already, the order is partly filled, it "
        "trails the price, waits for the market to open, or came with its entry as an OTO: Alpaca replaces neither."
    ),
    Kind.STOP_QTY: (
        "The stop belongs to a pair, whose quantity Alpaca keeps, or is partly filled: cancel it at Alpaca and place "
        "a new one. Or it waits for the market to open, and can be replaced then."
    ),
    Kind.BROKEN_OCO: "Both exits were filled: only a trade brings the position back, and that is yours to decide.",
    Kind.LATE_FILL: "Alpaca has not listed every fill of it yet; it is proposed once they add up.",
    Kind.SPLIT: WITHOUT_LAST_SHARE,
    Kind.TRANSFER: WITHOUT_LAST_SHARE,
    Kind.EQUITY: (
        "Nothing of ours is in it: Alpaca's own figures do not agree. It ends when they do; else ask its support."
    ),
}
