"""Send an order again: what it would meet is shown first, and checked again when it is wanted."""

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
from orders.sending_again import Proposal, propose, send_again
from work.queue import enqueue_once


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("orders.submit_batch", raise_exception=True)
def again(request: HttpRequest, order_id: int) -> HttpResponse:
    order = get_object_or_404(Order.objects.select_related("account", "batch"), pk=order_id)
    show_account(request, order.account)
    act = send_again if request.method == "POST" else propose
    now, actor = timezone.now(), request.user.get_username()
    try:
        proposal = act(order=order, actor=actor, now=now)
    except (BrokerError, OrdersError) as error:
        context = {"order": order, "proposal": None, "failure": str(error)}
        return render(request, "orders/order_again.html", context)
    if proposal.found:
        messages.success(request, "It is at Alpaca after all, so nothing was sent. Our record follows Alpaca now.")
        return redirect(order)
    if request.method == "POST" and proposal.may_go_on:
        return _on_its_way(request, order, proposal)
    return render(request, "orders/order_again.html", {"order": order, "proposal": proposal})


def _on_its_way(request: HttpRequest, order: Order, proposal: Proposal) -> HttpResponse:
    enqueue_once(f"execute:{order.batch_id}", "orders.tasks.execute_batch_task", order.batch_id, now=timezone.now())
    messages.success(request, f"Order {order.pk} leaves again, under the same id.")
    for warning in proposal.warnings:
        messages.warning(request, warning)
    return redirect(order)
