"""What must be true at the end of every day, whatever happened in it."""

from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import Any

from django.utils import timezone

from orders.halting import resume_sending
from orders.lifecycle import IN_FLIGHT, is_terminal
from orders.models import Fill, Order, OrderChange, OrderEvent
from positions.cash import cash_books
from positions.models import Adjustment, Position
from positions.rebuilding import compute_positions, differences
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.errors import FixRefused
from reconciliation.ignoring import stop_ignoring
from reconciliation.kinds import KINDS, Kind
from reconciliation.models import Drift, Fix, Run
from reconciliation.rebinding import REBINDABLE, rebind_account
from reconciliation.running import run_reconciliation
from reconciliation.undoing import undo_fix
from tests.reconciliation.steps import books
from tests.soak.virtual import TIME
from tests.soak.world import Finding, World

#: A repair may uncover the next one, but not for ever.
MOST_ROUNDS = 10
MOST_TURNS = 120
#: Kinds that may stay open when no fix is proposed, and why that is honest. Everything else must be repaired.
WITHOUT_FIX: dict[str, str] = {
    Kind.POSITION_DUST: "It cannot be sold by itself.",
    **{
        kind: "It is about what lives at Alpaca: its guide says when no order may be sent, and the day may end so."
        for kind, facts in KINDS.items()
        if facts.group == "protection"
    },
}


def expect(is_kept: object, promise: str) -> None:
    if not is_kept:
        raise Finding(promise)


def heal(world: World) -> None:
    """Nothing is wrong any more: faults are gone, locks released, clocks right, people decided, and time passed."""
    world.process.calm()
    world.process.unlock_database()
    world.exchange.simulator.faults.remove()
    world.exchange.act("config", hold_fills=False, partial_fills=False, fill_delay_ms=3)
    TIME.skew = 0.0
    for _ in range(12):
        TIME.advance(60)
    bind_anew(world)
    account = world.read_afresh()
    if account.sending_halted:
        resume_sending(account=account, actor="admin", reason="Over.", now=timezone.now())
    # What a rule hides stays hidden: somebody decided that it is kept outside of the books.
    for drift in Drift.objects.filter(account=account, state="ignored", ignored_by_rule=None).roots():
        stop_ignoring(drift=drift, actor="admin", now=timezone.now())


def bind_anew(world: World) -> None:
    """Alpaca has reset the account: the old books stay as they are until a person archives them, and new ones begin."""
    account, number = world.read_afresh(), world.exchange.account.account_number
    if account.broker_account_number == number:
        return
    before = books()
    run = _reconcile(world)
    expect(run.state == Run.State.INCOMPLETE, f"Another account answers, and the run is {run.state}.")
    expect(books() == before, "Another account answers, and the books changed.")
    fixes = Fix.objects.filter(account=account, run=run)
    expect(not fixes.exists(), f"Another account answers, and a fix is proposed: {fixes}")
    drift = Drift.objects.open().filter(account=account, kind__in=REBINDABLE).first()
    if drift is None:
        raise Finding(f"Another account answers, and nothing leads to new books: {run.incomplete_reason}")
    world.account = rebind_account(
        drift=drift, typed_number=number, actor="admin", reason="It was reset.", now=timezone.now()
    )
    _reconcile(world)  # empty books take over what is there without asking: nothing of that is to be undone


def drain(world: World, random: Random) -> None:
    """The worker has nothing left to do; what it has sent is known, one way or the other."""
    quiet, was = 0, _signature(world)
    for _ in range(MOST_TURNS):
        said = world.work(random, rounds=1, is_orderly=True)
        expect(not said, f"With nothing wrong the worker's task fails: {said}")
        TIME.advance(20)
        now = _signature(world)
        quiet = 0 if _unsettled(world) or now != was else quiet + 1
        if quiet >= 4:
            return
        was = now
    expect(not _unsettled(world), f"Still not settled long after everything is well: {_unsettled(world)}")


def _signature(world: World) -> object:
    """Changes whenever anything of consequence does."""
    counts = [model.objects.count() for model in (Order, OrderEvent, Fill, OrderChange, Drift, Fix)]
    return counts, [(order.id, order.status, order.filled_qty) for order in world.exchange.orders]


def _unsettled(world: World) -> list[str]:
    account = world.account  # what was under way in the books of an account that is gone stays so
    orders = Order.objects.filter(account=account, submission_state__in=IN_FLIGHT).exclude(batch__state="halted")
    changes = OrderChange.objects.filter(order__account=account, state__in=["recorded", "sending", "unconfirmed"])
    runs = Run.objects.filter(account=account, state__in=["queued", "running"])
    fixes = Fix.objects.filter(account=account, state__in=["approved", "applied"])
    return [f"{each._meta.model_name} {each.pk} {each}" for rows in (orders, changes, runs, fixes) for each in rows]


# --- Repair, and undoing it -----------------------------------------------------------------------------------


def repair(world: World) -> list[Fix]:
    """Approve everything until a run is in sync; return what was applied, in its order."""
    world.has_acted = False
    applied: list[Fix] = []
    run = _reconcile(world)
    for _ in range(MOST_ROUNDS):
        expect(run.state != Run.State.INCOMPLETE, f"With nothing wrong the read is incomplete: {run.incomplete_reason}")
        mine = Fix.objects.filter(account=world.account)
        fixes = list(mine.proposed())
        if run.state == Run.State.IN_SYNC or not (fixes or mine.awaiting_apply().exists()):
            break  # what a policy approved by itself waits for nobody but a worker
        _approve(fixes)
        TIME.advance(61)  # what is applied when Alpaca takes no more requests waits for the next minute
        done = apply_approved(account=world.read_afresh(), actor="ops").fixes
        if any(fix.acts_at_broker for fix in done):
            drain(world, TIME.random)  # the worker sends what was approved, and looks what became of it
            world.has_acted = True
        for fix in Fix.objects.filter(pk__in=[fix.pk for fix in done]):
            # Approved while a policy's window was open and applied when it had closed: the next round approves anew.
            has_lapsed = fix.state == Fix.State.PROPOSED and fix.outcome.endswith("The approval lapsed.")
            if not has_lapsed and fix.state not in {Fix.State.VERIFIED, Fix.State.STALE, Fix.State.WITHDRAWN}:
                expect(fix.outcome, f"Fix {fix.pk} {fix.title} is {fix.state} and does not say why.")
                # Alpaca may refuse an act, as it refuses a stop beside somebody's order to buy. A copy never fails.
                expect(fix.acts_at_broker, f"Fix {fix.pk} {fix.title} is {fix.state}: {fix.outcome}")
            if fix.state == Fix.State.VERIFIED:
                applied.append(fix)
        run = _reconcile(world)
    left = list(Drift.objects.filter(account=world.account).open().roots())
    told = set(Fix.objects.filter(state="failed", acts_at_broker=True).values_list("key", flat=True))
    unexplained = [
        f"{d.kind} {d.symbol}: {d.sentence}" for d in left if d.kind not in WITHOUT_FIX and d.key not in told
    ]
    expect(not unexplained, f"After approving everything there is still drift: {unexplained}")
    expect(left or run.state == Run.State.IN_SYNC, f"No drift is left and yet the run is {run.state}.")
    return applied


def _reconcile(world: World) -> Run:
    """A run; another one a minute later if Alpaca took no more requests in this one."""
    run = _run(world)
    if run.state == Run.State.INCOMPLETE and "no more requests" in run.incomplete_reason:
        TIME.advance(61)
        run = _run(world)
    return run


def _run(world: World) -> Run:
    return run_reconciliation(account=world.read_afresh(), trigger=Run.Trigger.DEMAND, requested_by="soak")


def _approve(fixes: list[Fix]) -> None:
    for actor in ("ops", "ops2"):
        waiting = [fix for fix in Fix.objects.filter(pk__in=[fix.pk for fix in fixes]) if fix.state == "proposed"]
        if waiting:
            approve_fixes(fixes=waiting, actor=actor, now=timezone.now(), override_reason="Agreed by telephone.")


def undo_and_redo(world: World, applied: list[Fix], before: dict[str, Any]) -> None:
    """Undo everything in reverse: the books are as they were; repair again: they are as they were repaired."""
    for fix in reversed(applied):
        try:
            if undo_fix(fix=fix, actor="ops", now=timezone.now()).state != Fix.State.UNDONE:
                undo_fix(fix=fix, actor="ops2", now=timezone.now())  # a policy asks for two people
        except FixRefused as error:
            raise Finding(f"Fix {fix.pk} {fix.title} cannot be undone: {error}") from error
    after = books()
    for name, rows in before.items():
        expect(rows == after[name], f"Undoing everything does not restore {name}: {_first_change(rows, after[name])}")
    repair(world)


def _first_change(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    if len(before) != len(after):
        return f"{len(before)} rows became {len(after)}"
    for old, new in zip(before, after, strict=True):
        if old != new:
            changed = {name: (old[name], new[name]) for name in old if old[name] != new[name]}
            return f"{old.get('symbol', '')} {old.get('id', '')}: {changed}"
    return "another order of the rows"


# --- Promises -------------------------------------------------------------------------------------------------


def check(world: World) -> None:
    nothing_is_sent_twice(world)
    fills_are_complete(world)
    rebuilding_changes_nothing(world)
    if not Drift.objects.filter(account=world.account).open().exists():
        positions_are_alpacas(world)
        cash_adds_up(world)
        cash_ledger_adds_up(world)
    second_look_changes_nothing(world)


def nothing_is_sent_twice(world: World) -> None:
    """One order for each line and purpose, and no POST of an order that Alpaca has already."""
    accepted = Counter(order.client_order_id for order in world.exchange.orders)
    twice = [name for name, number in accepted.items() if number > 1]
    expect(not twice, f"Accepted twice: {twice}")
    lines = Counter(name.rsplit("-", 1)[0] for name in accepted if name.startswith("ts-"))
    expect(max(lines.values(), default=0) <= 1, f"Two orders for one line: {lines.most_common(1)}")
    expect(not world.exchange.sent_twice, f"Sent again though Alpaca had it: {world.exchange.sent_twice}")


def fills_are_complete(world: World) -> None:
    """Each execution at Alpaca is in the ledger once; nothing else is."""
    ours: dict[str, Decimal] = defaultdict(Decimal)
    for fill in Fill.objects.filter(account=world.account).select_related("order"):
        ours[fill.order.broker_order_id] += fill.qty
    adopted = set(
        Order.objects.filter(account=world.account)
        .exclude(broker_order_id="")
        .values_list("broker_order_id", flat=True)
    )
    for order in world.exchange.orders:
        if order.filled_qty or order.id in adopted:
            expect(
                ours.get(order.id, Decimal(0)) == order.filled_qty,
                f"{order.side} {order.symbol} {order.client_order_id}: Alpaca filled {order.filled_qty}, "
                f"the ledger has {ours.get(order.id, 0)}",
            )
    known = {order.id for order in world.exchange.orders}
    expect(not set(ours) - known, f"Fills of orders that Alpaca does not have: {set(ours) - known}")
    wrong = [str(order) for order in Order.objects.filter(is_booked=True) if not is_terminal(order.status)]
    expect(not wrong, f"Booked as ended though it is not: {wrong}")


def rebuilding_changes_nothing(world: World) -> None:
    account = world.account
    computed = compute_positions(account, now=timezone.now())
    found = differences(Position.objects.filter(account=account), computed)
    expect(not found, f"Rebuilding from the fills gives other positions: {found}")


def positions_are_alpacas(world: World) -> None:
    ours = {row.symbol: row.qty for row in Position.objects.filter(account=world.account).open().order_by("symbol")}
    expect(ours == world.exchange.holdings(), f"We hold {ours}, Alpaca says {world.exchange.holdings()}")


def cash_adds_up(world: World) -> None:
    """What the account began with, what the ledger's fills paid, and what came and went without a fill."""
    if Adjustment.objects.filter(account=world.account).exclude(kind="split").exists():
        return  # a correction stands for a trade whose price nobody knows
    cash = Decimal(100_000) + world.exchange.unentered
    for fill in Fill.objects.filter(account=world.account):
        cash -= fill.qty * fill.price * (1 if fill.side == "buy" else -1)
    cash += sum((Decimal(row.get("net_amount", "0")) for row in world.exchange.activities(fills=False)), Decimal(0))
    # Of a trade in dollars Alpaca counts the dollars, and tells the shares to nine places.
    expect(
        abs(cash - world.exchange.account.cash) < Decimal("0.01"),
        f"The ledger makes {cash} of cash, Alpaca has {world.exchange.account.cash}",
    )


def cash_ledger_adds_up(world: World) -> None:
    """The subtotal that is kept is the sum of all, and the sum is Alpaca's cash."""
    kept, anew = cash_books(world.account), cash_books(world.account, anew=True)
    expect(kept == anew, f"The kept subtotal of cash makes {kept}, added up anew it is {anew}")
    if anew is None:
        return
    off = world.exchange.account.cash - anew.expected
    expect(abs(off) <= anew.tolerance, f"The cash ledger is {off} off Alpaca's cash, and nothing tells so")


def _was_refused(fix: Fix) -> bool:
    """Alpaca refused just this, as it refuses a stop beside somebody's order to buy: it stays proposed."""
    refused = Fix.objects.filter(account=fix.account, key=fix.key, fingerprint=fix.fingerprint, state=Fix.State.FAILED)
    return refused.exclude(outcome="").exists()


def second_look_changes_nothing(world: World) -> None:
    before = books()
    run = _reconcile(world)
    expect(run.state != Run.State.INCOMPLETE, f"The second look is incomplete: {run.incomplete_reason}")
    expect(books() == before, "A run that changes nothing changed the books.")
    more = [fix for fix in Fix.objects.filter(account=world.account).proposed() if not _was_refused(fix)]
    expect(not more, f"A second look proposes more: {more}")
