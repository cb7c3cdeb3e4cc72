from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET

from orders.account_choice import chosen_account, show_account
from orders.fill_totals import totals_of
from orders.life_line import life_line
from orders.listing import TABLE, listed_orders, status_choices, submission_choices
from orders.models import Order
from orders.related import chain_of, group_of
from orders.sending_again import reason_against
from orders.wording import legend, refused_now
from ui.htmx import render_page
from ui.tables import wants_csv

#: So many rows of fills are shown; the totals are over all of them.
FILLS_SHOWN = 500


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
        "legend": legend(),
    }
    return render_page(request, "orders/order_list.html", "orders/_orders.html", context)


@require_GET
def order(request: HttpRequest, order_id: int) -> HttpResponse:
    order = get_object_or_404(Order.objects.select_related("account", "batch", "cancel_first"), pk=order_id)
    show_account(request, order.account)
    fills = list(order.fills.in_ledger_order().defer("raw"))
    executions = ((fill.qty, fill.price) for fill in fills)
    context = {
        "order": order,
        "steps": life_line(order, order.events.all(), fills),
        "fills": fills[:FILLS_SHOWN],
        "totals": totals_of(executions, filled_qty=order.filled_qty, filled_avg_price=order.filled_avg_price),
        "chain": chain_of(order),
        "group": group_of(order),
        "refused_now": refused_now(status=order.status, order_class=order.order_class, notional=order.notional),
        "can_be_sent_again": not reason_against(order),
    }
    return render_page(request, "orders/order.html", "orders/_order.html", context)
