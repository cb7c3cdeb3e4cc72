"""What the reconciliation pages show of drifts and fixes, as plain values made from the rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from reconciliation.broker_wording import acts_in_words
from reconciliation.cause_fingerprint import fingerprint
from reconciliation.columns import Row, columns
from reconciliation.entered_asking import Asked, asks_for
from reconciliation.entered_facts import whose_price
from reconciliation.kinds import Kind, Severity
from reconciliation.models import Drift, Fix
from reconciliation.reasons import WITHOUT_FIX
from ui.formatting import in_new_york, money, price, qty

#: Gravest first.
SEVERITIES = tuple(severity.value for severity in Severity)


def _moment(text: str) -> str:
    return in_new_york(datetime.fromisoformat(text), today=date.min, style="full")


_SPELLED = {
    "qty": qty,
    "filled_qty": qty,
    "filled_avg_price": price,
    "price": price,
    "stop_price": price,
    "limit_price": price,
    "transaction_time": _moment,
    "avg_entry_price": price,
    "avg_exit_price": price,
    "stop_loss": price,
    "target": price,
    "total_risk": money,
    "realized_pl": money,
    "balance": money,
    "net_amount": money,
}

_IDS = frozenset({"client_order_id", "broker_order_id", "replaced_by", "fills", "activity_id"})
#: Long, and of use only to whoever looks it up at Alpaca: left out where something else tells what changes.
_FOLDED = "activity id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One row of the comparison, spelled for people. The empty text: that side says nothing."""

    label: str
    database: str
    broker: str
    after: str
    differs: bool  # database and Alpaca do not say the same
    changes: bool  # the fix writes it
    is_id: bool  # long, and read by comparing, not by reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The fields of the order or of the position, and how many more there are than are shown."""

    name: str
    fields: list[Field]
    hidden: int
    words: str  # what it becomes, in one line
    at_broker: bool = False  # it is of an order at Alpaca that the fix acts on, and of no row of ours

    @property
    def total(self) -> int:
        return len(self.fields) + self.hidden

    @property
    def is_new(self) -> bool:
        """There is nothing to compare, all of it is added: by a copy to the database, by an act to Alpaca."""
        return not any(field.broker if self.at_broker else field.database for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A root drift with what follows from it and what would repair it."""

    drift: Drift
    severity: str
    consequences: list[Drift]
    sections: list[Section]
    consequence: str
    activity_ids: list[str]
    why_no_fix: str
    instead: Fix | None = None  # another way to repair it

    @property
    def fix(self) -> Fix | None:
        return self.drift.fix

    @property
    def asked(self) -> Asked | None:
        return asks_for(self.drift)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)

    @property
    def can_be_approved(self) -> bool:
        return self.drift.fix is not None and self.drift.fix.state == Fix.State.PROPOSED


def gravest(severities: Iterable[str]) -> str:
    """A cause is as grave as the gravest thing that follows from it."""
    return min(severities, key=rank, default=Severity.LOW.value)


def family_severity(root: Drift) -> str:
    """How grave a root is told to be, on pages and in commands: as grave as the gravest of its consequences.

    In the JSON documents each difference bears the severity of its own kind.
    """
    return gravest([root.severity, *(follower.severity for follower in root.consequences.all())])


def rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def cause_of(drift: Drift, *, all_fields: bool, instead: Fix | None = None) -> Cause:
    """Dress a root for the page. `consequences` is prefetched with the open ones."""
    consequences = list(drift.consequences.all())
    return Cause(
        drift=drift,
        severity=family_severity(drift),
        consequences=consequences,
        sections=sections_of(drift.fix, all_fields=all_fields) if drift.fix else [],
        consequence=consequence_of(drift.fix) if drift.fix else "",
        activity_ids=activity_ids(drift.evidence),
        why_no_fix="" if drift.fix else why_no_fix(drift),
        instead=instead,
    )


def sections_of(fix: Fix, *, all_fields: bool) -> list[Section]:
    """The comparison by section: the fields that the fix writes, or all. One that writes none shows all."""
    sections = []
    rows = columns(fix)
    for name in dict.fromkeys(row.section for row in rows):
        at_broker = fix.acts_at_broker and name == "order"
        fields = [_field(row, at_broker=at_broker) for row in rows if row.section == name]
        shown = fields if all_fields else _telling([field for field in fields if field.changes])
        if shown:
            words, hidden = _in_words(fix.after.get(name) or {}), len(fields) - len(shown)
            sections.append(Section(name=name, fields=shown, hidden=hidden, words=words, at_broker=at_broker))
    return sections or (sections_of(fix, all_fields=True) if rows and not all_fields else [])


def _field(row: Row, *, at_broker: bool) -> Field:
    """What is not written stays as it is: in our database, or at Alpaca where the fix acts there."""
    was = row.broker if at_broker else row.database
    after = was if row.after is None else row.after
    return Field(
        label=row.field.replace("_", " "),
        database=_spell(row.field, row.database),
        broker=_spell(row.field, row.broker),
        after=_spell(row.field, after),
        differs=not at_broker and row.broker is not None and (row.broker or "") != (row.database or ""),
        changes=(after or "") != (was or ""),
        is_id=row.field in _IDS,
    )


def _telling(changed: list[Field]) -> list[Field]:
    return [field for field in changed if field.label != _FOLDED] or changed


def _in_words(facts: Mapping[str, Any]) -> str:
    """An order or a fill in one line: buy 74 QCOM, filled 74 at 172.30."""
    parts = [str(facts.get(name) or "") for name in ("side", "qty", "symbol")]
    head = " ".join(_spell("qty", part) if index == 1 else part for index, part in enumerate(parts) if part)
    state = str(facts.get("status") or "").replace("_", " ")
    filled, average = (_spell(name, str(facts.get(name) or "")) for name in ("filled_qty", "filled_avg_price"))
    if filled and filled != "0":
        state += f" {filled}" + (f" at {average}" if average else "")
    return ", ".join(part for part in (head, state.strip()) if part)


def _spell(field: str, text: str | None) -> str:
    if not text:
        return ""
    spell = _SPELLED.get(field)
    try:
        return spell(text) if spell else text
    except ValueError:
        return text


def consequence_of(fix: Fix) -> str:
    """Say before it is done what a fix writes, and what it does not."""
    if fix.acts_at_broker:
        return acts_in_words(fix)
    parts = [_written(operation) for operation in fix.plan]
    written = " and ".join(part for part in dict.fromkeys(parts) if part)
    said = f"It writes {written}." if written else "It folds the position anew from its fills."
    position = position_in_words(fix)
    if position:
        is_gone = position == "none"
        said += f" {fix.symbol} is no position any more." if is_gone else f" {fix.symbol} becomes {position}."
    said += _effects_in_words(fix)
    return f"{said} Only our database changes, after Alpaca was read again; nothing is sent. It can be undone."


def _effects_in_words(fix: Fix) -> str:
    """The cash on record after it, and what else goes away with it."""
    words = ""
    if cash := fix.after.get("cash"):
        words += f" Cash on record becomes ${money(cash['balance'])}."
    if count := len(fix.after.get("closes") or []):
        words += f" It closes {count} other difference{'' if count == 1 else 's'}."
    return words


def position_in_words(fix: Fix) -> str:
    """The position after the fix in one line."""
    after: Mapping[str, Any] = fix.after.get("position") or {}
    state = after.get("state", "")
    if state != "open":
        return str(state)
    words = [f"an open position of {qty(after.get('qty'))}"]
    if after.get("avg_entry_price"):
        words.append(f"at {price(after['avg_entry_price'])}")
    levels = [
        f"{label} {spell(after[name])}"
        for name, label, spell in (("stop_loss", "stop", price), ("target", "target", price))
        if after.get(name)
    ]
    if after.get("total_risk"):
        levels.append(f"risk ${money(after['total_risk'])}")
    return " ".join(words) + (f", {', '.join(levels)}" if levels else "")


def _written(operation: Mapping[str, Any]) -> str:
    match operation.get("op"):
        case "import_order" | "book_order":
            count = len(operation.get("fills") or [])
            verb = "one order" if operation["op"] == "import_order" else "the order's state"
            return f"{verb} with {count} fill{'' if count == 1 else 's'}" if count else verb
        case "book_adjustment":
            return f"an adjustment of {operation.get('qty')} {operation.get('symbol')}{whose_price(operation)}"
        case "take_back_adjustment":
            return f"the end of a correction of {operation.get('qty')} {operation.get('symbol')}"
        case "take_out_fill":
            is_gone = not operation.get("fills")
            return "a correction that takes one fill out" if is_gone else "a correction: the fill as Alpaca has it"
        case "accept_terms":
            return "the order's terms as Alpaca has them"
        case "void_order":
            return "the order as one that Alpaca does not have"
        case "book_entry":
            return f"one {operation.get('kind')} in the ledger of {operation.get('symbol')}{whose_price(operation)}"
        case "book_cash_entry":
            return "one entry in the cash ledger, as Alpaca has it"
        case "book_cash_correction":
            return f"{_spell('balance', operation.get('amount'))} dollars in the cash ledger, with your reason"
        case "close_change":
            return "the end of a change that Alpaca did not make"
        case _:
            return ""


def activity_ids(evidence: Mapping[str, Any]) -> list[str]:
    return [str(fill.get("id", "")) for fill in evidence.get("fills") or [] if fill.get("id")]


#: What is wrong with the account, the clocks or the stream: who can end it.
_WHO_ENDS_IT = {
    "wrong_account": "Nothing was read of that account, nothing was changed. Give the right keys and reconcile again.",
    "account_reset": "Nothing was read of that account, nothing was changed. Give the old keys, or bind new books.",
    "restricted_account": "Nothing in our database repairs this: it ends at Alpaca. The other differences are judged.",
    "clock_skew": "Nothing in our database repairs this: it ends when the clocks agree. The read is good.",
    "stream_gap": "It ends with the next complete run after the connection is back. Reconcile to read at once.",
}


def why_no_fix(drift: Drift) -> str:
    """A difference without a proposal says why, so that nobody waits for one."""
    if drift.kind in _WHO_ENDS_IT:
        return _WHO_ENDS_IT[drift.kind]
    if drift.group == "evidence":
        return "The read proves nothing, so nothing is proposed and nothing was changed. Reconcile again."
    if drift.kind == "unconfirmed_submit" and not drift.broker:
        return "Look-ups go on by themselves; the order is settled when they are certain."
    if drift.kind in WITHOUT_FIX:
        return WITHOUT_FIX[Kind(drift.kind)]
    if drift.group == "positions":
        return "Repair the orders and fills of this symbol first; what remains is shown then."
    if drift.broker and drift.group in {"identity", "order_state", "fills"}:
        return "No fix is safe yet: Alpaca has not listed everything about it, or its facts do not say what is right."
    return "This needs a person: Alpaca's facts do not say what the books should be."


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    return sum((amount for amount in amounts if amount is not None), Decimal(0))
