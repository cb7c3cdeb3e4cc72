"""Why nothing is proposed for a kind of difference, in words for people."""

from reconciliation.kinds import Kind

#: For kinds of which some, or all, have no repair that our books or a cancel could be.
WITHOUT_FIX: dict[Kind, str] = {
    Kind.DUPLICATE_SUBMISSION: (
        "The second order can still fill: cancel it at Alpaca, here or in its app. What is left of it is proposed for "
        "the books then."
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
        "statement, and record the order it belongs to."
    ),
    Kind.POSITION_DUST: "No order can sell so little. It goes with the next sale of the rest, or is ignored.",
    Kind.LATE_FILL: "Alpaca has not listed every fill of it yet; it is proposed once they add up.",
}
