"""A stop or target that is crossed is told once, until a person acknowledges it."""

import logging
from decimal import Decimal

import pytest
from django.urls import reverse

from audit.models import AuditEntry
from broker.numbers import plain
from positions import crossing as crossing_module
from positions.crossing import acknowledge_crossing
from positions.models import Crossing, Position
from positions.prices import note_prices
from positions.rebuilding import rebuild_position
from tests.factories import NOW, make_account, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def account():
    return make_account()


def held(account, side="buy", symbol="QCOM"):
    """10 at 100 dollars: a long has its stop at 92 and its target at 116, a short at 108 and 84."""
    make_fill(symbol=symbol, side=side)
    rebuild_position(account=account, symbol=symbol, now=NOW)
    return Position.objects.get(symbol=symbol)


def see(account, price, minute=1, symbol="QCOM"):
    note_prices(account=account, prices={symbol: Decimal(price)}, now=minutes(minute))


def told():
    return [
        (row.level, plain(row.level_price), plain(row.price), row.acknowledged_at is None)
        for row in Crossing.objects.order_by("pk")
    ]


@pytest.mark.parametrize(
    ("side", "price", "expected"),
    [
        ("buy", "92.01", []),
        ("buy", "92", [("stop", "92", "92", True)]),
        ("buy", "80", [("stop", "92", "80", True)]),
        ("buy", "115.99", []),
        ("buy", "116", [("target", "116", "116", True)]),
        ("sell", "107.99", []),
        ("sell", "108", [("stop", "108", "108", True)]),
        ("sell", "84.01", []),
        ("sell", "84", [("target", "84", "84", True)]),
    ],
)
def test_a_price_at_or_beyond_the_level_is_a_crossing(account, side, price, expected):
    held(account, side)
    see(account, price)
    assert told() == expected


def test_it_is_logged_with_ids_and_journaled_by_the_system(account, caplog):
    position = held(account)
    with caplog.at_level(logging.WARNING, logger="positions.crossing"):
        see(account, "91.5")
    row = Crossing.objects.get()
    assert f"position {position.pk} QCOM, crossing {row.pk}" in caplog.text
    entry = AuditEntry.objects.get(action="crossing.noticed")
    assert (entry.actor, entry.subject_id, entry.after["price"]) == ("system", str(position.pk), "91.5")
    assert entry.summary == (
        "QCOM went through its stop of 92.00: 91.50 was seen, and no order at Alpaca sells all of it there."
    )


def test_a_price_that_swings_about_the_level_is_told_once(account):
    held(account)
    for minute, price in enumerate(("91", "93", "90", "93", "89")):
        see(account, price, minute)
    assert told() == [("stop", "92", "91", True)]
    assert AuditEntry.objects.filter(action="crossing.noticed").count() == 1


def test_after_the_acknowledgment_only_a_return_and_a_new_crossing_is_told(account):
    held(account)
    see(account, "91", 1)
    assert acknowledge_crossing(crossing=Crossing.objects.get(), actor="ops", now=minutes(2))
    see(account, "90", 3)
    see(account, "90", 4)
    assert told() == [("stop", "92", "91", False)]
    see(account, "95", 5)
    assert told() == [("stop", "92", "91", False)]
    see(account, "91.7", 6)
    row = Crossing.objects.get()
    assert (row.price, row.crossed_at, row.acknowledged_by) == (Decimal("91.7"), minutes(6), "")
    assert AuditEntry.objects.filter(action="crossing.noticed").count() == 2


def test_another_level_is_another_crossing(account):
    position = held(account)
    see(account, "91", 1)
    acknowledge_crossing(crossing=Crossing.objects.get(), actor="ops", now=minutes(2))
    Position.objects.filter(pk=position.pk).update(stop_loss=Decimal("91.5"))
    see(account, "91", 3)
    assert told() == [("stop", "92", "91", False), ("stop", "91.5", "91", True)]


def test_a_level_that_was_crossed_before_anybody_looked_is_told_too(account):
    """The price does not move, the level does: as after a change of the parameters."""
    position = held(account)
    see(account, "95", 1)
    Position.objects.filter(pk=position.pk).update(stop_loss=Decimal(96))
    see(account, "95", 2)
    assert told() == [("stop", "96", "95", True)]


@pytest.mark.parametrize("status", ["new", "accepted", "partially_filled"])
def test_a_live_stop_at_alpaca_acts_on_it(account, status):
    held(account)
    make_order(side="sell", order_type="stop", stop_price="92", status=status)
    see(account, "91")
    assert told() == []


def test_a_stop_held_beside_its_take_profit_acts(account):
    held(account)
    make_order(side="sell", order_type="limit", limit_price="116", status="new")
    make_order(side="sell", order_type="stop", stop_price="92", status="held")
    see(account, "91")
    see(account, "117")
    assert told() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": "9"},  # one share is left over
        {"stop_price": "80"},  # acts far beyond the plan
        {"status": "canceled"},
        {"status": "held"},  # nothing works beside it
        {"status": "some_new_word"},
        {"side": "buy"},
        {"submission_state": "unconfirmed"},
    ],
)
def test_an_order_that_would_not_exit_all_of_it_there_does_not_count(account, fields):
    held(account)
    make_order(**{"side": "sell", "order_type": "stop", "stop_price": "92", **fields})
    see(account, "91")
    assert told() == [("stop", "92", "91", True)]


def test_who_tells_people_is_called_in_the_same_transaction_and_cannot_lose_it(account, monkeypatch, caplog):
    calls = []

    def tell(account, crossings, now):
        calls.append([row.position.symbol for row in crossings])
        raise RuntimeError("no mail server")

    monkeypatch.setattr(crossing_module, "after_crossings", [tell])
    held(account)
    see(account, "91")
    see(account, "90")
    assert calls == [["QCOM"]]
    assert "could not be told" in caplog.text
    assert told() == [("stop", "92", "91", True)]


def test_two_who_note_the_same_price_make_one_row(account):
    position = held(account)
    sighting = crossing_module.Sighting(position, Decimal(95), Decimal(91))
    for _ in range(2):
        crossing_module.note_crossings(account=account, sightings=[sighting], now=NOW)
    assert len(told()) == 1


def test_the_overview_and_the_pages_show_it_until_it_is_acknowledged(client, people, account):
    position = held(account)
    see(account, "91")
    client.force_login(people.ops)
    listed, page = reverse("positions:list"), position.get_absolute_url()
    [concern] = client.get("/").context["concerns"]
    assert (concern.tone, concern.href) == ("bad", page)
    assert "went through its stop of 92.00" in concern.text
    assert "stop or target crossed" in client.get(listed).content.decode()
    assert "Acknowledge" in client.get(page).content.decode()
    row = Crossing.objects.get()
    answer = client.post(reverse("positions:acknowledge_crossing", args=[row.pk]))
    assert answer.url == page
    row.refresh_from_db()
    assert row.acknowledged_by == "ops"
    assert AuditEntry.objects.get(action="crossing.acknowledged").actor == "ops"
    assert client.get("/").context["concerns"] == []
    assert "crossed" not in client.get(listed).content.decode()
    text = client.get(page).content.decode()
    assert "Acknowledge<" not in text
    assert "acknowledged by ops" in text  # in its history
    again = client.post(reverse("positions:acknowledge_crossing", args=[row.pk]), follow=True)
    assert "ops acknowledged it already" in again.content.decode()


def test_a_trader_sees_it_and_may_not_acknowledge(client, people, account):
    position = held(account)
    see(account, "91")
    client.force_login(people.trader)
    assert "Acknowledge" not in client.get(position.get_absolute_url()).content.decode()
    address = reverse("positions:acknowledge_crossing", args=[Crossing.objects.get().pk])
    assert client.post(address).status_code == 403
    assert client.get(address).status_code == 405
    assert Crossing.objects.filter(acknowledged_at__isnull=True).exists()


def test_a_position_that_closed_is_no_concern_any_more(client, people, account):
    held(account)
    see(account, "91")
    make_fill(side="sell", at=minutes(2))
    rebuild_position(account=account, symbol="QCOM", now=minutes(2))
    client.force_login(people.ops)
    assert client.get("/").context["concerns"] == []
