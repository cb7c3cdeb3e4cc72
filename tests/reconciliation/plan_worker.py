"""What the workers do by sweeps for the plans of positions, once; also as a process that can be killed."""

import django
from django.utils import timezone


def pass_by(account):
    """Return how many steps the plan took."""
    from orders.change_sending import carry_out_changes
    from orders.following import look
    from orders.models import Order
    from orders.placing import send_protection
    from orders.settling import settle_orders
    from positions.protecting import protect_positions

    account.refresh_from_db()
    now = timezone.now()
    settle_orders(account_id=account.pk, now=now)
    orders = list(Order.objects.filter(account=account, submission_state="confirmed", is_booked=False))
    if orders:
        look(account=account, orders=orders, now=now)
    taken = protect_positions(account=account, now=now)
    send_protection(account_id=account.pk, now=now)
    carry_out_changes(account_id=account.pk, now=now)
    return taken


if __name__ == "__main__":
    django.setup()
    from broker.models import Account

    pass_by(Account.objects.get())
