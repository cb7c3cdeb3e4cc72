"""The kinds about positions, protection, corporate actions and cash, in words. Pure."""

from reconciliation.kind_entry import GOES_AWAY, NOTHING_DONE, KindEntry
from reconciliation.kinds import Kind

_ADJUSTED = (
    "When no order or fill explains it: an adjustment, marked as estimated, brings the books to what Alpaca holds. The "
    "true fills take it back when they come. Where Alpaca gives earlier fills no longer it is the same correction, and "
    "never an opening balance: that moves no money, so fills that come to light after all would be paid twice in the "
    "cash. What is gone leaves at its own average, or at the exit price that a person entered with its source."
)
_ORDERS_FIRST = "While an order or fill of the symbol is out of step: that is repaired first, and often explains it."
_SENT = "The order is looked up at Alpaca until it shows what was asked for; then a read must agree."
_PLACED = (
    "What was placed cannot be undone. Its opposite, cancelling it, is proposed as another fix when a person wants it."
)
_CANCELLED = "What was cancelled does not come back: if it is wanted after all, a new order is sent."
_REPLACED = (
    "What was replaced cannot be undone. Its opposite, the old terms, is proposed as another fix when a person wants "
    "it."
)
_NO_STOP_ALONE = (
    "A stop without a target waits until no simple order of the other side is open: Alpaca would refuse it."
)
_PAIRS_SWAPPED = (
    "every exit is cancelled, and when all of that is proven one OCO for what is held is placed. For a moment nothing "
    "guards the position; if the OCO is refused, a stop is placed at once for what no exit holds."
)
_NO_PAIR_SWAP = (
    "unless the price lies between both levels, a whole share is held, every exit is plain, unfilled and has its stop, "
    "and no order of the other side is open."
)

POSITION_ENTRIES = {
    Kind.POSITION_BROKER_ONLY: KindEntry(
        detected="Alpaca holds a symbol of which our books have no open position.", fix=_ADJUSTED, no_fix=_ORDERS_FIRST
    ),
    Kind.POSITION_DATABASE_ONLY: KindEntry(
        detected="Our books hold a symbol that Alpaca's list leaves out, and that it does not find by name either.",
        fix=_ADJUSTED,
        no_fix=_ORDERS_FIRST,
    ),
    Kind.POSITION_QTY: KindEntry(
        detected="Both hold the symbol on one side, in different quantities, and no order in it is on its way.",
        fix=_ADJUSTED,
        no_fix=_ORDERS_FIRST,
    ),
    Kind.POSITION_SIDE: KindEntry(detected="One side is long, the other short.", fix=_ADJUSTED, no_fix=_ORDERS_FIRST),
    Kind.POSITION_AVG_PRICE: KindEntry(
        detected="The same quantity, at average prices that differ by more than one hundredth of a percent.",
        fix="Two adjustments bring the average to Alpaca's without changing the quantity.",
        no_fix=_ORDERS_FIRST,
    ),
    Kind.PENDING_NEVER_FILLED: KindEntry(
        detected="A position waits for an entry that no order at Alpaca can fill any more.",
        fix="The position is folded anew from its fills, of which there are none: it ends.",
    ),
    Kind.CLOSED_WITHOUT_EXIT: KindEntry(
        detected="A position is closed and does not say at what price it was left.",
        fix="Where its exit fills are booked, the position is folded anew from them. Where none is, a person enters "
        "the exit price with its source: the exit is booked at it, dated when the position was closed, and told as "
        "entered. The true fills take it back when they come.",
        no_fix="Until one or the other is there; none is made up. Nor where the exit would not lead to Alpaca's "
        "position.",
        undone="Undo puts the row back as it was, closed and without an exit. The number goes with it.",
    ),
    Kind.POSITION_DUST: KindEntry(
        detected="What is left is worth less than the smallest order that Alpaca takes.",
        no_fix="It cannot be sold by itself. A rule hides it from its first sighting; a person may end that rule.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
}

PROTECTION_ENTRIES = {
    Kind.NAKED_POSITION: KindEntry(
        detected="Shares are held, the account's plan wants exits at Alpaca, and no live stop guards any of them.",
        fix="A stop at the planned price is placed, with the target as one OCO where there is one.",
        no_fix=f"When the stop would sell at once, or live orders hold the shares already. {_NO_STOP_ALONE}",
        at_broker=True,
        verified=_SENT,
        undone=_PLACED,
    ),
    Kind.STOP_QTY: KindEntry(
        detected="Live stops are for fewer, or one stop is for more, shares than are held.",
        fix="A stop that stands alone gets the quantity that is held; beside others, one is placed for the rest. "
        f"A pair of stop and target for more than is held: {_PAIRS_SWAPPED}",
        no_fix=f"When an exit is partly filled; and for a pair {_NO_PAIR_SWAP} {_NO_STOP_ALONE}",
        at_broker=True,
        verified=_SENT,
        undone=f"{_REPLACED} {_PLACED}",
    ),
    Kind.STOP_PRICE: KindEntry(
        detected="A live stop is more than a tick away from the plan.",
        fix="The stop is replaced by one at the planned price.",
        no_fix="When the planned price would sell at once, or the stop is partly filled.",
        at_broker=True,
        verified=_SENT,
        undone=_REPLACED,
    ),
    Kind.WRONG_STOP: KindEntry(
        detected="A stop ends at the close though the position is held overnight, or lies beyond the market.",
        fix="A stop that ends too soon is replaced by one that stays until it is cancelled.",
        no_fix="One beyond the market sells as soon as it can; it is not touched.",
        at_broker=True,
        verified=_SENT,
        undone=_REPLACED,
    ),
    Kind.TARGET_MISSING: KindEntry(
        detected="A live stop guards the position, and no live order waits at the target that the plan names.",
        fix="The stop, which holds the shares, is cancelled; when that is proven, an OCO of stop and target is placed. "
        "For a moment nothing guards the position; if the OCO is refused, the stop is placed again at once.",
        no_fix="Unless it is one plain stop of ours for all the whole shares that are held, with the price between "
        "both levels and no order of the other side open.",
        at_broker=True,
        verified=_SENT,
        undone=_PLACED,
    ),
    Kind.ORPHAN_EXIT: KindEntry(
        detected="An exit is live for shares that nobody holds: its fill would open a position.",
        fix="The order is cancelled at Alpaca.",
        at_broker=True,
        verified=_SENT,
        undone=_CANCELLED,
    ),
    Kind.BROKEN_OCO: KindEntry(
        detected="One half of a pair was filled and the other is still live, or both were filled.",
        fix="The half that still lives is cancelled.",
        no_fix="When both were filled: what is held then is for a person to decide.",
        at_broker=True,
        verified=_SENT,
        undone=_CANCELLED,
    ),
    Kind.PARTIAL_BRACKET: KindEntry(
        detected="The entry of a bracket is partly filled, and its exits wait for the rest: what is held has no stop.",
        fix="A stop is placed for what is filled.",
        no_fix=f"When the stop would sell at once. {_NO_STOP_ALONE}",
        at_broker=True,
        verified=_SENT,
        undone=_PLACED,
    ),
    Kind.DOUBLE_PROTECTION: KindEntry(
        detected="Several live stops are together for more shares than are held.",
        fix="As many as are too many are cancelled, those off the plan and the newest first; never one that is needed. "
        f"Where none can go alone and a pair is among them: {_PAIRS_SWAPPED}",
        no_fix="When no single one can go without leaving shares unguarded and none is of a pair; and for pairs "
        f"{_NO_PAIR_SWAP}",
        at_broker=True,
        verified=_SENT,
        undone=f"{_CANCELLED} {_PLACED}",
    ),
}

_EXACT_ONLY = (
    "While its entries do not lead to Alpaca's position to the last share: what else differs is repaired first."
)

MONEY_ENTRIES = {
    Kind.SPLIT: KindEntry(
        detected="Alpaca's entry tells of a split that the ledger lacks; or, without one, quantity and average price "
        "have moved in plain inverse ratio and no fill tells why.",
        fix="One line in the ledger changes quantity, average price, stop and target together; the cost basis stays, "
        "and the fills before it stay as they were. Cash in lieu of fractions is booked with it, and so are the terms "
        "of working orders that Alpaca changed by the ratio.",
        no_fix=_EXACT_ONLY,
    ),
    Kind.SYMBOL_CHANGE: KindEntry(
        detected="Alpaca holds the same asset under a new symbol, and our books hold it under the old one.",
        fix="The position is carried over to the new symbol with its average price.",
        no_fix=_EXACT_ONLY,
    ),
    Kind.TRANSFER: KindEntry(
        detected="Alpaca's entry tells of shares that came or went without a trade: a transfer, a journal entry, a "
        "spin-off, a merger.",
        fix="The shares are booked as a transfer, at the price that the entry or Alpaca's average gives. Where the "
        "entry names none for shares that came, a person may enter the cost basis with its source: it is told as "
        "entered, and the averages are then compared as Alpaca counts them. Shares that left go at their own average.",
        no_fix=_EXACT_ONLY,
    ),
    Kind.CASH_ACTIVITY: KindEntry(
        detected="Alpaca lists an entry with money, such as a dividend, interest or a fee, that our cash ledger lacks.",
        fix="The entry is copied into the cash ledger, once, by its id. Positions are not touched.",
    ),
    Kind.CASH: KindEntry(
        detected="With nothing under way and every position equal, Alpaca's cash is not what entries and fills lead "
        "to.",
        fix="The difference is booked as an entry of our own; whoever approves it says what it is.",
    ),
    Kind.EQUITY: KindEntry(
        detected="In one answer, Alpaca's equity is not the sum of its own cash and positions.",
        no_fix="Both figures are Alpaca's: our books hold neither. Look again, and ask Alpaca if it stays so.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
}
