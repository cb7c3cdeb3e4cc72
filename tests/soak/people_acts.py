"""What people do with the product, and the worker's turns between. Each person's act may fail, and is then told."""

import json
from datetime import time, timedelta
from random import Random

from django.utils import timezone

from broker.models import Account
from orders.checking import check_batch
from orders.halting import halt_sending, resume_sending
from orders.recording import record_batch
from orders.releasing import release_batch
from positions.parameters import change_parameters
from reconciliation.applying import apply_approved
from reconciliation.approving import approve_fixes
from reconciliation.ignoring import ignore_drift
from reconciliation.kinds import KINDS
from reconciliation.models import BackfillPolicy, Drift, Fix, Run
from reconciliation.running import request_run, run_reconciliation
from reconciliation.undoing import UNDOABLE, undo_fix
from tests.soak.acts import act, in_words, order_terms
from tests.soak.world import World

_PEOPLE = ("ops", "ops2", "admin")


@act(18)
def the_worker_works(world: World, random: Random) -> str:
    rounds = random.choice([1, 2, 5])
    said = world.work(random, rounds=rounds)
    return "; ".join([f"the worker takes {rounds} turns", *dict.fromkeys(said)])


@act(18)
def a_batch_is_sent(world: World, random: Random) -> str:
    lines = [order_terms(world, random) for _ in range(random.choice([1, 1, 2, 4]))]
    data = json.dumps([_as_line(terms) for terms in lines]).encode()
    account = world.read_afresh()
    told: list[str] = []

    def send() -> None:
        checked = check_batch(account=account, data=data, filename="story.json", now=timezone.now())
        if not checked.is_usable:
            told.append("; ".join(map(str, checked.errors)))
            return
        batch = record_batch(account=account, checked=checked, actor="ops", now=timezone.now(), scheduled_for=None)
        told.append(f"recorded as batch {batch.pk}")
        release_batch(batch=batch, actor="ops", now=timezone.now())

    came_between = world.attempt(send)
    return f"ops sends {', '.join(map(in_words, lines))}: {'; '.join([*told, came_between])}"


def _as_line(terms: dict[str, object]) -> dict[str, object]:
    names = {"type": "order_type"}
    line = {names.get(name, name): value for name, value in terms.items() if not isinstance(value, dict)}
    profit, loss = terms.get("take_profit"), terms.get("stop_loss")
    if isinstance(profit, dict):
        line["take_profit_limit_price"] = profit["limit_price"]
    if isinstance(loss, dict):
        line["stop_loss_stop_price"] = loss["stop_price"]
    return line


@act(6)
def somebody_reconciles(world: World, random: Random) -> str:
    account, is_full = world.read_afresh(), random.random() < 0.3
    found: list[str] = []

    def run() -> None:
        run = run_reconciliation(
            account=account, trigger=Run.Trigger.DEMAND, requested_by="ops", is_full=is_full, wait_seconds=1
        )
        found.append(f"{run.state} {run.incomplete_reason}".strip())

    return f"ops reconciles: {'; '.join([world.attempt(run), *found])}"


@act(2)
def a_run_is_requested(world: World, random: Random) -> str:
    account = world.read_afresh()
    trigger = random.choice([Run.Trigger.DEMAND, Run.Trigger.CLOSE])
    wish = lambda: request_run(account=account, trigger=trigger, requested_by="ops", now=timezone.now())  # noqa: E731
    return f"a run is requested ({trigger}) {world.attempt(wish)}"


@act(8)
def somebody_approves(world: World, random: Random) -> str:
    proposed = list(Fix.objects.filter(state__in=["proposed", "stale", "approved"]).order_by("-pk")[:8])
    if not proposed:
        return "nothing to approve"
    fixes = random.sample(proposed, random.randint(1, len(proposed)))
    actor, is_stale = random.choice(_PEOPLE), random.random() < 0.15
    shown = {fix.pk: "what was shown yesterday" if is_stale else fix.fingerprint for fix in fixes}
    reason = random.choice(["", "It was agreed by telephone."])
    times = random.choice([1, 1, 2])

    def approve() -> None:
        for _ in range(times):
            approve_fixes(fixes=fixes, actor=actor, now=timezone.now(), fingerprints=shown, override_reason=reason)

    titles = ", ".join(f"{fix.pk} {fix.title} ({fix.state})" for fix in fixes)
    how = " ".join(["with an old picture"] * is_stale + ["twice"] * (times == 2) + ["with a reason"] * bool(reason))
    return f"{actor} approves {how}: {titles} {world.attempt(approve)}"


@act(4)
def approved_is_applied(world: World, random: Random) -> str:
    account = world.read_afresh()
    said = world.attempt(lambda: apply_approved(account=account, actor="ops", wait_seconds=1))
    return f"what is approved is applied {said}"


@act(3)
def somebody_undoes(world: World, random: Random) -> str:
    done = list(Fix.objects.filter(state__in=UNDOABLE).order_by("-pk")[:6])
    if not done:
        return "nothing to undo"
    fix = random.choice(done)
    said = world.attempt(lambda: undo_fix(fix=fix, actor=random.choice(_PEOPLE), now=timezone.now()))
    return f"fix {fix.pk} {fix.title} is undone {said}"


@act(2)
def a_policy_changes(world: World, random: Random) -> str:
    mode = random.choice(list(BackfillPolicy.Mode.values))
    limit = random.choice([None, "500"])
    values = {"mode": mode, "max_dollars": limit, "updated_at": timezone.now(), "updated_by": "admin"}
    change = lambda: BackfillPolicy.objects.update_or_create(account=world.account, kind="", defaults=values)  # noqa: E731
    return f"policy of every kind: {mode} up to {limit} {world.attempt(change)}"


@act(3)
def a_policy_of_one_kind_changes(world: World, random: Random) -> str:
    kind, mode = random.choice(list(KINDS)).value, random.choice(list(BackfillPolicy.Mode.values))
    begins, ends = random.choice([(None, None), (time(9, 30), time(16)), (time(22), time(9, 45)), (time(1), time(3))])
    values = {
        "mode": mode, "max_dollars": random.choice([None, "200"]), "window_from": begins, "window_until": ends,
        "not_before_close_minutes": random.choice([0, 10, 400]), "updated_at": timezone.now(), "updated_by": "admin",
    }  # fmt: skip
    change = lambda: BackfillPolicy.objects.update_or_create(account=world.account, kind=kind, defaults=values)  # noqa: E731
    return f"policy of {kind}: {mode} from {begins} until {ends} {world.attempt(change)}"


@act(2)
def somebody_ignores(world: World, random: Random) -> str:
    drift = Drift.objects.open().roots().order_by("-pk").first()
    if drift is None:
        return "nothing to ignore"
    now = timezone.now()
    ignore = lambda: ignore_drift(drift=drift, actor="ops", reason="Known.", until=now + timedelta(hours=1), now=now)  # noqa: E731
    return f"ignored for an hour: {drift.sentence} {world.attempt(ignore)}"


@act(2)
def sending_is_switched(world: World, random: Random) -> str:
    account, switch = world.read_afresh(), random.choice([halt_sending, resume_sending, resume_sending])
    said = world.attempt(lambda: switch(account=account, actor="ops", reason="A drill.", now=timezone.now()))
    return f"{switch.__name__} {said}"


@act(1)
def the_plan_changes(world: World, random: Random) -> str:
    plan = random.choice(["record_only", "bracket", "oco"])
    return f"protection plan {plan} {world.attempt(lambda: Account.objects.update(protection_plan=plan))}"


@act(1)
def parameters_change(world: World, random: Random) -> str:
    from decimal import Decimal

    account, stop = world.read_afresh(), random.choice(["5", "10"])
    change = lambda: change_parameters(  # noqa: E731
        account=account, symbol="", stop_loss_pct=Decimal(stop), target_pct=Decimal(16), actor="admin",
        now=timezone.now(), apply_to_open=random.random() < 0.5,
    )  # fmt: skip
    return f"stop-loss {stop} % {world.attempt(change)}"
