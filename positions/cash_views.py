from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from orders.account_choice import chosen_account
from positions.cash_listing import CASH, cash_rows, cash_sums
from ui.htmx import render_page
from ui.tables import wants_csv


@require_GET
def cash(request: HttpRequest) -> HttpResponseBase:
    account = chosen_account(request)
    rows = cash_rows(account)
    if wants_csv(request.GET):
        return CASH.csv("cash", rows, request.GET)
    context = {"listing": CASH.show(rows, request.GET), "sums": cash_sums(account, rows)}
    return render_page(request, "positions/cash.html", "positions/_cash.html", context)
