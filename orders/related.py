"""The orders that belong to one: its chain of replacements and the group of a bracket, OCO or OTO.

Each is found with two queries, however long the chain and however many orders there are: the links of one symbol
are few and small, and they are walked in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from orders.models import Order
from orders.querysets import OrderQuerySet

#: So many links of a chain are shown; a longer one says that it goes on.
LINKS_SHOWN = 100
GROUP_CLASSES = ("bracket", "oco", "oto")
ENTRY, TAKE_PROFIT, STOP_LOSS = "entry", "take_profit", "stop_loss"


@dataclass(frozen=True, slots=True)
class Link:
    """One order of a chain; `order` is None when it is not in our books."""

    broker_order_id: str
    order: Order | None
    is_this: bool


@dataclass(frozen=True, slots=True)
class Chain:
    links: tuple[Link, ...]
    hidden: int = 0
    is_circle: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One order of a group and its part in it; `order` is None for a leg that only its parent's answer names."""

    role: str
    order: Order | None
    broker_order_id: str
    status: str
    is_this: bool


def chain_of(order: Order) -> Chain:
    """Return the orders that this one came from and went on as, oldest first."""
    if not order.broker_order_id:
        return Chain(())
    ids, is_circle = _walk(order, *_links(order))
    if len(ids) == 1:
        return Chain((), is_circle=is_circle)
    here = ids.index(order.broker_order_id)
    start = max(0, min(here - LINKS_SHOWN // 2, len(ids) - LINKS_SHOWN))
    shown = ids[start : start + LINKS_SHOWN]
    rows = {o.broker_order_id: o for o in _ours(order).filter(broker_order_id__in=shown).defer("raw")}
    links = tuple(Link(link, rows.get(link), link == order.broker_order_id) for link in shown)
    return Chain(links, len(ids) - len(shown), is_circle)


def _links(order: Order) -> tuple[dict[str, str], dict[str, str]]:
    """Return which id follows which, and which came before which, told by either side of each link."""
    ours = _ours(order).order_by().values_list("pk", "broker_order_id", "replaces", "replaced_by")
    linked = ours.filter(~Q(replaces="", replaced_by=""), symbol=order.symbol)
    # The symbol itself may have changed.
    near = ours.filter(broker_order_id__in=[i for i in (order.replaces, order.replaced_by) if i])
    # One OR of all would read every order of the account: no index answers it.
    rows = linked.union(near, ours.filter(pk=order.pk))
    after: dict[str, str] = {}
    before: dict[str, str] = {}
    for _pk, own, replaces, replaced_by in sorted(row for row in rows if row[1]):
        if replaced_by:
            after[own] = replaced_by
            before.setdefault(replaced_by, own)
        if replaces:
            before[own] = replaces
            after.setdefault(replaces, own)
    return after, before


def _walk(order: Order, after: Mapping[str, str], before: Mapping[str, str]) -> tuple[list[str], bool]:
    ids, seen, is_circle = [order.broker_order_id], {order.broker_order_id}, False
    for step, is_forward in ((before, False), (after, True)):
        link = step.get(order.broker_order_id)
        while link:
            if link in seen:
                is_circle = True
                break
            seen.add(link)
            ids.insert(len(ids) if is_forward else 0, link)
            link = step.get(link)
    return ids, is_circle


def group_of(order: Order) -> list[Member]:
    """Return entry, take-profit and stop of the bracket, OCO or OTO that the order belongs to."""
    raw = order.raw if isinstance(order.raw, dict) else {}
    if not order.broker_order_id or (order.order_class not in GROUP_CLASSES and not raw.get("group_id")):
        return []
    rows = {o.broker_order_id: o for o in _candidates(order, raw)} | {order.broker_order_id: order}
    parent = _parent(order, rows)
    named = _leg_rows(parent.raw)
    members = [parent.broker_order_id, *named]
    group_id = raw.get("group_id")
    members += [i for i, o in rows.items() if i not in members and group_id and _raw(o).get("group_id") == group_id]
    if len(members) < 2:
        return []
    found = [_member(i, rows.get(i), named.get(i, {}), parent, order) for i in members]
    return sorted(found, key=lambda member: (ENTRY, TAKE_PROFIT, STOP_LOSS, "").index(member.role))


def _candidates(order: Order, raw: Mapping[str, Any]) -> list[Order]:
    """Orders of one group carry one group_id; those from before there were any were made in one moment."""
    same = Q(broker_order_id__in=list(_leg_rows(raw)))
    if group_id := raw.get("group_id"):
        same |= Q(symbol=order.symbol, raw__group_id=group_id)
    elif created_at := raw.get("created_at"):
        same |= Q(symbol=order.symbol, order_class__in=GROUP_CLASSES, raw__created_at=created_at)
    return list(_ours(order).filter(same).exclude(broker_order_id="").order_by("pk")[:20])


def _parent(order: Order, rows: Mapping[str, Order]) -> Order:
    for candidate in rows.values():
        if order.broker_order_id in _leg_rows(candidate.raw):
            return candidate
    if _leg_rows(order.raw):
        return order
    return next((o for o in rows.values() if _raw(o).get("group_role") == ENTRY or _leg_rows(o.raw)), order)


def _member(broker_order_id: str, ours: Order | None, row: Mapping[str, Any], parent: Order, this: Order) -> Member:
    is_parent = broker_order_id == parent.broker_order_id
    role = str(_raw(ours).get("group_role") or row.get("group_role") or "")
    if role not in (ENTRY, TAKE_PROFIT, STOP_LOSS):
        kind = ours.order_type if ours else str(row.get("type") or "")
        exit_role = TAKE_PROFIT if kind == "limit" else STOP_LOSS
        role = (TAKE_PROFIT if parent.order_class == "oco" else ENTRY) if is_parent else exit_role
    status = ours.status if ours else str(row.get("status") or "")
    return Member(role, ours, broker_order_id, status, broker_order_id == this.broker_order_id)


def _raw(order: Order | None) -> Mapping[str, Any]:
    return order.raw if order is not None and isinstance(order.raw, dict) else {}


def _leg_rows(raw: Any) -> dict[str, Mapping[str, Any]]:
    legs = raw.get("legs") if isinstance(raw, dict) else None
    rows = [leg for leg in legs if isinstance(leg, dict)] if isinstance(legs, list) else []
    return {str(leg["id"]): leg for leg in rows if leg.get("id")}


def _ours(order: Order) -> OrderQuerySet:
    return Order.objects.filter(account_id=order.account_id)
