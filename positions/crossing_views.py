"""A person says that they have seen a crossing."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_POST

from orders.account_choice import show_account
from positions.crossing import acknowledge_crossing
from positions.models import Crossing
from ui.htmx import redirect_to


@require_POST
@permission_required("positions.change_crossing", raise_exception=True)
def acknowledge(request: HttpRequest, crossing_id: int) -> HttpResponse:
    crossing = get_object_or_404(Crossing.objects.select_related("account", "position"), pk=crossing_id)
    show_account(request, crossing.account)
    if acknowledge_crossing(crossing=crossing, actor=request.user.get_username(), now=timezone.now()):
        messages.success(request, "Acknowledged. No order was sent; the position stays as it is.")
    else:
        messages.info(request, f"{crossing.acknowledged_by} acknowledged it already.")
    return redirect_to(request, crossing.position)
