from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from orders.account_choice import chosen_account, show_account
from orders.listing import TABLE, listed_orders, status_choices, submission_choices
from orders.models import Order
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def order_list(request: HttpRequest) -> HttpResponseBase:
    account = chosen_account(request)
    orders = listed_orders(account, request.GET)
    if wants_csv(request.GET):
        return TABLE.csv("orders", orders, request.GET)
    context = {
        "listing": TABLE.show(orders, request.GET),
        "statuses": status_choices(account),
        "submission_states": submission_choices(),
    }
    return render_page(request, "orders/order_list.html", "orders/_orders.html", context)


@require_GET
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    order = get_object_or_404(Order.objects.select_related("account", "batch"), pk=order_id)
    show_account(request, order.account)
    context = {
        "order": order,
        "events": order.events.all(),
        "fills": order.fills.in_ledger_order(),
        "chain": _replace_chain(order),
    }
    return render_page(request, "orders/order.html", "orders/_order.html", context)


def _replace_chain(order: Order) -> list[Order]:
    """The orders that this one replaces or is replaced by, next to it in the chain; those that we have."""
    ids = [broker_order_id for broker_order_id in (order.replaces, order.replaced_by) if broker_order_id]
    if not ids:
        return []
    chain = Order.objects.filter(account=order.account, broker_order_id__in=ids)
    return list(chain.order_by("submitted_at", "id").defer("raw"))
