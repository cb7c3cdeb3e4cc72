"""The kinds about evidence, orders and fills, in words. Pure."""

from reconciliation.kind_entry import GOES_AWAY, NOTHING_DONE, PUT_BACK, KindEntry
from reconciliation.kinds import Kind

_CANCELLED = "What was cancelled does not come back: if it is wanted after all, a new order is sent."

EVIDENCE_ENTRIES = {
    Kind.INCOMPLETE_READ: KindEntry(
        detected="A call failed, timed out or was cut short; a list ended without proof of its end, left out an order "
        "or a position that exists, or contradicted the account's own sums or fills; two readings never agreed.",
        no_fix="A read that proves nothing changes nothing: every other difference and fix stays as it was. Read "
        "again.",
        verified="The next complete run ends it.",
        undone=NOTHING_DONE,
    ),
    Kind.WRONG_ACCOUNT: KindEntry(
        detected="The account that answers has another id than the one these books are bound to; or books that are not "
        "bound yet hold an order that it does not know.",
        no_fix="Nothing is read of it and nothing is written. Give the right keys; or, if the books shall begin anew "
        "with it, a person of ops or admin binds them with a typed confirmation, which archives the old rows.",
        verified="The next run with the right account ends it.",
        undone=NOTHING_DONE,
    ),
    Kind.ACCOUNT_RESET: KindEntry(
        detected="Another account answers, and it was made after these books were bound: Alpaca re-made a paper "
        "account.",
        no_fix="Its empty history says nothing about the old positions, so nothing is written. A person of ops or "
        "admin binds the new account with a typed confirmation, which archives the old rows.",
        verified="The next run with the bound account ends it.",
        undone=NOTHING_DONE,
    ),
    Kind.RESTRICTED_ACCOUNT: KindEntry(
        detected="Alpaca says trading_blocked, account_blocked or trade_suspended_by_user, or a status that is not "
        "ACTIVE. The read is good, and the other differences are judged.",
        no_fix="It ends at Alpaca, not here. Sending is not stopped by it: Alpaca refuses what is sent.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
    Kind.STREAM_GAP: KindEntry(
        detected="The connection that tells of trades broke, or has been silent for a minute, while a process follows "
        "it.",
        no_fix="There is nothing to write: a complete run that began after the gap has read what was missed, and "
        "closes it. That there was one stays in the list of differences.",
        verified="The next complete run that began after the gap, with the connection back.",
        undone=NOTHING_DONE,
    ),
    Kind.CLOCK_SKEW: KindEntry(
        detected="Alpaca's clock lies more than two seconds outside the span between our asking and its answer. "
        "Reading begins that much earlier.",
        no_fix="Our database is not at fault: let the machine follow a time server.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
}

IDENTITY_ENTRIES = {
    Kind.UNCONFIRMED_SUBMIT: KindEntry(
        detected="An order was sent and no answer is recorded. It is looked up by its client_order_id in every run.",
        fix="Found: the order with its fills is copied onto the row that sent it.",
        no_fix="Not found yet: look-ups go on by themselves until they are certain; it is never sent again on a guess.",
    ),
    Kind.ORDER_MISSING_AT_BROKER: KindEntry(
        detected="Alpaca answers 404 to one of our orders by its id, in two readings.",
        fix="The order is called void, with the reason. It stays in the books.",
        no_fix="Where it has fills: they may be real. Look whether this is the right account, and ask Alpaca.",
    ),
    Kind.OUR_ORDER_UNLINKED: KindEntry(
        detected="An order at Alpaca bears one of our ids, or is a leg of one of ours, and has no row.",
        fix="The order and its fills are recorded as Alpaca has them; the position follows from the fills.",
        no_fix="While Alpaca has not listed every fill of it.",
    ),
    Kind.EXTERNAL_ORDER: KindEntry(
        detected="An order at Alpaca bears no id of ours, and Alpaca did not make it itself: somebody traded "
        "elsewhere.",
        fix="Adopt it: the order and its fills are recorded as external, and count in the position. Or ignore it for a "
        "time, and it stays outside of the books.",
        no_fix="While Alpaca has not listed every fill of it.",
    ),
    Kind.BROKER_GENERATED_ORDER: KindEntry(
        detected="Alpaca placed an order itself: a liquidation, or what an option or a corporate action brought about.",
        fix="The order and its fills are recorded with that cause.",
        no_fix="While Alpaca has not listed every fill of it.",
    ),
    Kind.DUPLICATE_SUBMISSION: KindEntry(
        detected="Two orders of the same terms within ten seconds, for one wish of ours.",
        fix="The second one is cancelled at Alpaca while it lives; what it filled is recorded once it has ended.",
        no_fix="While an ended one lacks fills that Alpaca has not listed.",
        at_broker=True,
        undone=f"{_CANCELLED} What was recorded can be undone.",
    ),
}

STATE_ENTRIES = {
    Kind.STATUS_BEHIND: KindEntry(
        detected="Alpaca says another status than our row, and ours is not an end that Alpaca has left.",
        fix="Status, times and fills are copied from Alpaca.",
        no_fix="While the listed fills do not add up to what the order filled.",
    ),
    Kind.FILLED_QTY_BEHIND: KindEntry(
        detected="Alpaca filled more of an order than our row says.",
        fix="The order and the missing fills are copied.",
        no_fix="While the listed fills do not add up to what the order filled.",
    ),
    Kind.FILLED_QTY_AHEAD: KindEntry(
        detected="Our row says that more was filled than Alpaca does.",
        fix="Alpaca's state of the order replaces ours. Fills that it does not have are differences of their own.",
    ),
    Kind.ZOMBIE_ORDER: KindEntry(
        detected="Our row has ended; at Alpaca the order is still open and can fill.",
        fix="A choice of two: open it again in our books, or cancel it at Alpaca.",
        at_broker=True,
        undone=f"{PUT_BACK} {_CANCELLED}",
    ),
    Kind.REPLACE_CHAIN: KindEntry(
        detected="An order of ours was replaced at Alpaca, and the new one has no row. Chains are followed to their "
        "end.",
        fix="The replacement and its fills are recorded, linked to the order that it replaced.",
        no_fix="While Alpaca has not listed every fill of it.",
    ),
    Kind.STUCK_ORDER: KindEntry(
        detected="With the market open, an order has stayed more than five minutes in a state that takes moments.",
        no_fix="Nothing in our database is wrong. Look at the order at Alpaca, and cancel it there if it stays so.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
    Kind.REFUSED_CHANGE: KindEntry(
        detected="A cancel or replacement that we hold for made or under way is not to be seen at Alpaca after two "
        "minutes; or Alpaca rejected the replacement.",
        fix="The change is noted as refused, or the rejected replacement is recorded. Nothing is sent again.",
    ),
    Kind.TERMS_DIFFER: KindEntry(
        detected="Side, quantity, prices, type or time in force at Alpaca are not those that were recorded.",
        fix="Alpaca's terms are taken over into the record. What is at Alpaca stays as it is.",
    ),
    Kind.LATE_FILL: KindEntry(
        detected="An order that had ended for us filled all the same.",
        fix="The fills and Alpaca's state of the order are copied.",
        no_fix="While Alpaca has not listed every fill of it.",
    ),
    Kind.UNKNOWN_STATUS: KindEntry(
        detected="Alpaca says a word that this program does not know. It is kept as it came.",
        no_fix="Nothing is concluded from a word that nobody knows; it waits for one that is known.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
}

FILL_ENTRIES = {
    Kind.MISSING_FILL: KindEntry(
        detected="Alpaca lists a fill, by its activity id, that our ledger lacks.",
        fix="The fill is booked as Alpaca has it, once, by that id. A guess that stood in its place is taken back.",
        no_fix="While the listed fills do not add up to what the order filled.",
    ),
    Kind.PHANTOM_FILL: KindEntry(
        detected="Our ledger has a fill that Alpaca would have listed in the time that was read, and did not.",
        fix="The fill is taken out of the ledger. The fix keeps it whole.",
    ),
    Kind.FILL_VALUES_DIFFER: KindEntry(
        detected="The same activity id has another side, quantity or price at Alpaca.",
        fix="Our fill is taken out and Alpaca's is booked in its place.",
    ),
    Kind.FILL_BUSTED: KindEntry(
        detected="Alpaca took an execution back: by an entry of negative quantity, or by an order that has less "
        "filled.",
        fix="The fill is taken out, what Alpaca booked instead is booked, and the order says what Alpaca says.",
    ),
    Kind.FILL_SUM_MISMATCH: KindEntry(
        detected="The fills of an order do not add up to what it has filled, and Alpaca lists no other.",
        no_fix="The sum does not say which fill is wrong: one is booked or taken out only by its own id. Reconcile in "
        "full.",
        verified=GOES_AWAY,
        undone=NOTHING_DONE,
    ),
    Kind.INFERRED_SUPERSEDED: KindEntry(
        detected="A correction that was a guess is still counted, and its true fills have come.",
        fix="The guess is taken back, so that only the true fills count.",
    ),
}
