"""The System page: is the work going on, and what can be done if not."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from broker.models import RequestBudget
from broker.stream_state import stream_health
from orders.account_choice import chosen_account
from tradingsite import system_facts, vital_signs
from tradingsite.database_facts import database_facts
from tradingsite.retrying import retry_failure
from ui.htmx import redirect_to, render_page


@require_GET
def system(request: HttpRequest) -> HttpResponse:
    account, now = chosen_account(request), timezone.now()
    context = {
        "signs": vital_signs.signs_of_life(now),
        "queue": vital_signs.read_queue(now),
        "stream": stream_health(account.pk, now),
        "leases": vital_signs.held_leases(now),
        "failures": vital_signs.recent_failures(),
        "schedules": system_facts.schedules(),
        "calendar": system_facts.calendar_facts(now),
        "database": database_facts(),
        "room": system_facts.room_on_disk(),
        "budget": RequestBudget.objects.filter(account=account).first(),
        "versions": system_facts.versions(),
        "data_dir": settings.DATA_DIR,
        "now": now,
    }
    return render_page(request, "system/system.html", "system/_system.html", context)


@require_POST
@permission_required("reconciliation.start_run", raise_exception=True)
def retry(request: HttpRequest, failure_id: str) -> HttpResponse:
    failure = retry_failure(failure_id=failure_id, actor=request.user.get_username(), now=timezone.now())
    if failure is None:
        messages.info(request, "It was queued again already, so nothing was done twice.")
    else:
        messages.success(request, f"Queued again: {failure.func}. Its result appears here if it fails once more.")
    return redirect_to(request, "system")
