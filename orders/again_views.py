"""Send an order again: what it would meet is shown first, and checked again when it is wanted."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from broker.errors import BrokerError
from orders.account_choice import show_account
from orders.errors import OrdersError
from orders.models import Order
from orders.sending_again import Proposal, ordered_since, propose, reason_against, send_again
from work.queue import enqueue_once


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("orders.submit_batch", raise_exception=True)
def again(request: HttpRequest, order_id: int) -> HttpResponse:
    """Show what our record says; ask Alpaca, which may book what it answers, and send only when posted."""
    order = get_object_or_404(Order.objects.select_related("account", "batch"), pk=order_id)
    show_account(request, order.account)
    if request.method != "POST":
        return _show(request, order, reason=reason_against(order), since=ordered_since([order]))
    now, actor = timezone.now(), request.user.get_username()
    is_confirmed, shown = "confirmed" in request.POST, tuple(request.POST.getlist("shown"))
    try:
        if is_confirmed:
            proposal = send_again(order=order, shown_warnings=shown, actor=actor, now=now)
        else:
            proposal = propose(order=order, actor=actor, now=now)
    except (BrokerError, OrdersError) as error:
        return _show(request, order, failure=str(error))
    if proposal.found:
        messages.success(request, "It is at Alpaca after all, so nothing was sent. Our record follows Alpaca now.")
        return redirect(order)
    if is_confirmed and proposal.may_go_on and proposal.warnings == shown:
        return _on_its_way(request, order, proposal)
    return _show(request, order, proposal=proposal, is_other=is_confirmed)


def _show(request: HttpRequest, order: Order, **found: Any) -> HttpResponse:
    return render(request, "orders/order_again.html", {"order": order, **found})


def _on_its_way(request: HttpRequest, order: Order, proposal: Proposal) -> HttpResponse:
    enqueue_once(f"execute:{order.batch_id}", "orders.tasks.execute_batch_task", order.batch_id, now=timezone.now())
    messages.success(request, f"Order {order.pk} leaves again, under the same id.")
    for warning in proposal.warnings:
        messages.warning(request, warning)
    return redirect(order)
