"""The first page: where do I stand, what is at risk, is any of it wrong?"""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from broker.stream_state import stream_health
from orders.account_choice import chosen_account
from positions.models import Position
from reconciliation.models import Fix
from tradingsite import vital_signs
from tradingsite.concerns import concerns
from tradingsite.equity_chart import SPANS, equity_chart, span_of
from tradingsite.standing import (
    batches_of_today,
    drift_groups,
    has_history,
    held_in,
    money_of,
    next_check,
    open_causes,
    told,
)
from ui.htmx import render_page

SHOWN_DRIFTS = 6


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    span = span_of(request.GET.get("span", ""))
    money = money_of(account.snapshots.order_by("-read_at").first())
    causes = open_causes(account)
    positions = Position.objects.filter(account=account).not_closed()
    held = held_in(positions, money.equity if money else None)
    context = {
        "money": money,
        "equity_chart": equity_chart(account, money, span, now),
        "span": span,
        "spans": SPANS,
        "held": held,
        "concerns": concerns(account, held, now),
        "drifts": told(causes[:SHOWN_DRIFTS]),
        "drift_count": len(causes),
        "drift_groups": drift_groups(causes),
        "proposed_fixes": Fix.objects.filter(account=account).proposed().count(),
        "next_check": next_check(account, now),
        "batches": batches_of_today(account, now),
        "signs": vital_signs.signs_of_life(now),
        "queue": vital_signs.read_queue(now),
        "stream": stream_health(account.pk, now),
        "is_empty": money is None and not has_history(account),
    }
    return render_page(request, "overview/overview.html", "overview/_overview.html", context)
