"""Change how an account's stops and targets come to be orders: shown on its open positions first, done as shown."""

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import transaction

from audit import journal
from audit.models import AuditEntry
from broker.models import Account, ProtectionPlan
from broker.numbers import plain
from positions.errors import EffectsMoved
from positions.models import Position
from positions.protecting import live_generations, planned_steps
from positions.protection_plan import Decision, Step
from ui.formatting import price, qty

ACTION = "account.plan_changed"

HELP = {
    ProtectionPlan.RECORD_ONLY: "Stop and target are figures in these books, and sell nothing. When the last price "
    "crosses one of them, people are told until somebody acknowledges it.",
    ProtectionPlan.BRACKET: "Every entry of a batch is sent with its stop and target, reckoned from its limit price or "
    "the last trade and shown in the preview. Whole shares only, good till cancelled; parts of shares, amounts in "
    "dollars, auctions and extended hours are refused. Positions that are open already stay as they are.",
    ProtectionPlan.OCO: "When an entry has filled, stop and target are placed by this program as one OCO for the whole "
    "shares, renewed when more fills come or levels change, and cancelled when the position is closed. What Alpaca "
    "refuses, and what a person cancels, is shown and not tried again.",
}


@dataclass(frozen=True, slots=True)
class PlanEffect:
    """What the plan would do to one open position; `is_order` when it would send or renew an order by itself."""

    position_id: int
    symbol: str
    qty: str
    text: str
    is_order: bool


def preview_plan(*, account: Account, plan: str, now: datetime) -> list[PlanEffect]:
    """Return what would happen to the open positions. Changes nothing."""
    wanted = copy(account)
    wanted.protection_plan = plan
    if plan == ProtectionPlan.OCO:
        return [_by_oco(position, decision) for position, decision in planned_steps(wanted, now)]
    live = live_generations(account)
    return [_without(position, plan, has_live_exits=position.pk in live) for position in _open(account)]


def fingerprint(effects: Sequence[PlanEffect]) -> str:
    text = json.dumps([asdict(effect) for effect in effects], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def change_plan(*, account: Account, plan: str, actor: str, now: datetime, expected: str) -> bool:
    """Change the plan; False if it is that already. Orders follow from the rows, by the workers.

    `expected` is the fingerprint of the effects that were shown: EffectsMoved if they would be others now.
    """
    with transaction.atomic():
        others = Account.objects.filter(pk=account.pk).exclude(protection_plan=plan)
        before = others.values_list("protection_plan", flat=True).first()
        if before is None or not others.update(protection_plan=plan):
            return False
        account.refresh_from_db()
        effects = preview_plan(account=account, plan=plan, now=now)
        if fingerprint(effects) != expected:
            raise EffectsMoved("The open positions have changed since they were shown. Look at the effects again.")
        journal.record(
            at=now,
            actor=actor,
            action=ACTION,
            account=account.slug,
            subject_type="account",
            subject_id=account.pk,
            summary=f"Protection plan of {account.slug}: {ProtectionPlan(before).label} → {ProtectionPlan(plan).label}",
            before={"protection_plan": before},
            after={"protection_plan": plan, "effects": [asdict(effect) for effect in effects]},
        )
    return True


def history_of(account: Account) -> list[AuditEntry]:
    """Return the changes of the account's plan, the newest first."""
    return list(AuditEntry.objects.filter(action=ACTION, account=account.slug).order_by("-at", "-pk")[:50])


def _open(account: Account) -> list[Position]:
    return list(Position.objects.open().filter(account=account).order_by("symbol"))


def _effect(position: Position, text: str, *, is_order: bool = False) -> PlanEffect:
    return PlanEffect(position.pk, position.symbol, plain(position.qty) or "", text, is_order)


def _by_oco(position: Position, decision: Decision) -> PlanEffect:
    wish = decision.wish
    if wish is not None and decision.step in {Step.PLACE, Step.CANCEL}:
        text = f"An OCO for {qty(wish.qty)}: stop {price(wish.stop_loss)}, target {price(wish.target)}"
        again = ", in place of the one that is live" if decision.step == Step.CANCEL else ""
        return _effect(position, f"{text}{again}", is_order=True)
    if decision.step == Step.BLOCKED:
        return _effect(position, f"Nothing: {decision.reason}")
    if decision.step == Step.WAIT:
        return _effect(position, f"Nothing yet: {decision.reason}", is_order=True)
    if wish is not None and wish.qty > 0:
        return _effect(position, "Nothing: its OCO is live")
    return _effect(position, "Nothing: it is less than a share, or other exits hold its shares")


def _without(position: Position, plan: str, *, has_live_exits: bool) -> PlanEffect:
    if has_live_exits:
        return _effect(position, "Its OCO stays at Alpaca until it fills or a person cancels it")
    if plan == ProtectionPlan.BRACKET:
        return _effect(position, "Nothing: only entries sent from now on carry their exits")
    return _effect(position, "Nothing is sent: its stop and target are figures, and a crossing is told")
