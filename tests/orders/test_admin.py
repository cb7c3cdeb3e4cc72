"""The admin shows the record and lets nobody write it."""

import pytest
from django.urls import reverse

from orders.models import OrderEvent
from tests.factories import NOW, make_fill

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["batch", "order", "fill", "orderevent"])
def test_lists_can_be_seen_and_searched_but_not_changed(admin_client, model):
    fill = make_fill()
    OrderEvent.objects.create(order=fill.order, at=NOW, kind="fill", text="10 at 100", actor="test")
    listing = reverse(f"admin:orders_{model}_changelist")
    assert admin_client.get(listing).status_code == 200
    assert admin_client.get(listing, {"q": "QCOM"}).status_code == 200
    assert admin_client.get(reverse(f"admin:orders_{model}_add")).status_code == 403


def test_a_row_is_shown_without_a_save_button(admin_client):
    order = make_fill().order
    page = admin_client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
    assert order.client_order_id in page
    assert "_save" not in page
    assert admin_client.post(reverse("admin:orders_order_delete", args=[order.pk]), {"post": "yes"}).status_code == 403
