"""What a session may do, tried at the pages."""

from django.test import Client
from django.urls import reverse

from broker.models import Account


def may(client: Client) -> dict[str, bool]:
    """Whether a person at a page gets through to approving, undoing, sending, policies, resuming and the admin."""
    account = Account.objects.get_or_create(slug="sim", defaults={"name": "Simulator", "environment": "sim"})[0]
    data = {"account": account.slug, "reason": "It is"}
    asked = {
        "approve": client.post(reverse("reconciliation:approve"), data),
        "undo": client.post(reverse("reconciliation:undo", args=[1]), data),
        "send": client.get(reverse("orders:batch-upload")),
        "resume": client.post(reverse("resume"), data),
        "halt": client.post(reverse("halt"), data),
        "admin": client.get(reverse("admin:index")),
        "policies": client.get(reverse("admin:reconciliation_backfillpolicy_changelist")),
    }
    return {name: not _is_led_away(answer) for name, answer in asked.items()}


def _is_led_away(answer) -> bool:
    where = answer.get("Location", "") + answer.get("HX-Redirect", "")
    return answer.status_code == 403 or where.startswith(("/accounts/", "/admin/login"))
