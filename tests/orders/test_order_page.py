"""The page of one order: sentences, life line, chain, group, sums, and a cost that does not grow."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from orders import related
from orders.fill_totals import totals_of
from orders.life_line import life_line
from orders.lifecycle import KNOWN_STATUSES, SubmissionState
from orders.models import Order, OrderEvent
from orders.related import chain_of, group_of
from orders.wording import AT_ALPACA, outcome_of, refusal_sentence, refused_now, sending_sentence, status_sentence
from tests.factories import NOW, make_account, make_fill, make_order, minutes

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def read(client, path):
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def queries(client, path):
    read(client, path)
    with CaptureQueriesContext(connection) as captured:
        read(client, path)
    return len(captured)


# --- Words --------------------------------------------------------------------------------------------------------


def test_every_state_has_a_sentence_and_a_new_word_does_too():
    assert all(sending_sentence(state) for state in SubmissionState)
    assert set(AT_ALPACA) == KNOWN_STATUSES
    assert "does not know" in status_sentence("moonwalking")


def test_both_states_are_explained(reader):
    order = make_order(status="held")
    text = read(reader, order.get_absolute_url())
    assert sending_sentence("confirmed") in text
    assert status_sentence("held") in text


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"status": "filled"}, "To cancel or change it: it is filled."),
        ({"status": "accepted"}, "To change it while it is accepted."),
        ({"status": "new", "order_class": "oto"}, "the parts of an OTO can only be cancelled"),
        ({"status": "new", "notional": 5}, "an order in dollars can only be cancelled"),
        ({"status": "new"}, ""),
        ({"status": ""}, ""),
    ],
)
def test_what_alpaca_would_refuse_now(given, found):
    assert found in " ".join(refused_now(**{"order_class": "", "notional": None, **given}))


def test_a_refusal_is_explained(reader):
    order = make_order(submission_state="rejected", refusal="insufficient buying power (40310000)")
    assert refusal_sentence(order.refusal) in read(reader, order.get_absolute_url())


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"status": "filled", "filled_qty": "10", "filled_avg_price": "5.5"}, "10 filled at 5.5"),
        ({"status": "canceled", "filled_qty": "4", "filled_avg_price": "5"}, "canceled, 4 of 10 filled at 5"),
        ({"status": "new"}, "works at Alpaca, nothing filled"),
        ({"submission_state": "rejected", "refusal": "wash trade"}, "refused by Alpaca: wash trade"),
        ({"submission_state": "recorded"}, "waits"),
        ({"submission_state": "unconfirmed"}, "not known yet, it is being looked up"),
    ],
)
def test_the_outcome_in_a_few_words(given, outcome):
    assert outcome_of(make_order(**given)) == outcome


# --- Life line ----------------------------------------------------------------------------------------------------


def test_our_steps_and_alpacas_times_make_one_line_with_durations():
    order = make_order(
        status="replaced", submitted_at=minutes(2), canceled_at=minutes(5), raw={"replaced_at": "2025-11-07T14:36:00Z"}
    )
    for number, kind in ((0, "recorded"), (1, "claimed"), (3, "confirmed")):
        OrderEvent.objects.create(order=order, at=minutes(number), kind=kind, text=".", actor="ops")
    fill = make_fill(order, qty="3", price="7", at=minutes(4), recorded_at=minutes(4) + timedelta(seconds=1.5))
    OrderEvent.objects.create(order=order, at=minutes(4.5), kind="fill", text="3 at 7", actor="ops")
    steps = life_line(order, order.events.all(), [fill])
    kinds = ["recorded", "claimed", "submitted", "confirmed", "fill", "canceled", "replaced"]
    assert [step.kind for step in steps] == kinds
    assert [step.after for step in steps] == ["", *["+1 min"] * 6]
    assert steps[4].text == "3 at 7, in our books 1.5 s later."


def test_a_line_is_drawn_from_columns_when_no_step_is_on_record():
    order = make_order(claimed_at=minutes(1), submitted_at=None, unconfirmed_at=minutes(2), confirmed_at=minutes(3))
    assert [step.kind for step in life_line(order, [], [])] == ["recorded", "claimed", "unconfirmed", "confirmed"]


def test_very_many_fills_are_told_as_first_and_last():
    order = make_order()
    fills = [make_fill(order, qty="1", price="5", at=minutes(number)) for number in range(30)]
    told = [step.text for step in life_line(order, [], fills) if step.kind == "fill"]
    assert len(told) == 3
    assert told[1] == "28 fills between the first and the last."


def test_a_replaced_time_that_cannot_be_read_breaks_nothing(reader):
    order = make_order(raw={"replaced_at": "soon", "legs": "none", "group_id": 7})
    assert "Life line" in read(reader, order.get_absolute_url())


# --- Fills --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("booked", "filled", "average", "said"),
    [
        ([("30", "10"), ("70", "11")], "100", "10.7", "They add up"),
        ([("30", "10")], "100", "10.7", "70 of 100 not in our books yet"),
        ([("30", "10"), ("80", "11")], "100", "10.7", "10 more than Alpaca says"),
        ([("30", "10"), ("70", "11")], "100", "10.8", "Their average differs"),
    ],
)
def test_fills_are_summed_against_what_alpaca_says(reader, booked, filled, average, said):
    order = make_order(qty="100", status="filled", filled_qty=filled, filled_avg_price=average)
    for qty, price in booked:
        make_fill(order, qty=qty, price=price)
    assert said in read(reader, order.get_absolute_url())


def test_an_average_that_alpaca_rounded_is_no_difference():
    fills = [(make_fill(qty="3", price="10").qty, make_fill(qty="3", price="10.01").price)] * 3
    totals = totals_of(fills, filled_qty=totals_qty(fills), filled_avg_price=fills[0][1])
    assert totals.is_complete
    assert totals.is_average_equal


def totals_qty(fills):
    return sum(qty for qty, _price in fills)


# --- Chain --------------------------------------------------------------------------------------------------------


def make_chain(length, **fields):
    return [
        make_order(
            broker_order_id=f"link-{number}",
            replaces=f"link-{number - 1}" if number else "",
            replaced_by=f"link-{number + 1}" if number < length - 1 else "",
            status="replaced" if number < length - 1 else "new",
            **fields,
        )
        for number in range(length)
    ]


@pytest.mark.parametrize("at", [0, 3, 6])
def test_the_whole_chain_is_shown_from_every_link(at):
    orders = make_chain(7)
    chain = chain_of(orders[at])
    assert [link.broker_order_id for link in chain.links] == [f"link-{number}" for number in range(7)]
    assert [link.is_this for link in chain.links].index(True) == at


@pytest.mark.parametrize("side", ["replaces", "replaced_by"])
def test_one_side_of_each_link_is_enough(side):
    orders = make_chain(4)
    Order.objects.update(**{side: ""})
    for order in orders:
        order.refresh_from_db()
        assert len(chain_of(order).links) == 4


def test_a_link_that_is_not_in_the_books_is_named(reader):
    order = make_order(broker_order_id="b", replaces="a-unknown", status="new")
    text = read(reader, order.get_absolute_url())
    assert "a-unknown" in text
    assert "not in our books" in text


def test_a_circle_ends_and_is_said(reader):
    first = make_order(broker_order_id="a", replaced_by="b", replaces="b")
    make_order(broker_order_id="b", replaced_by="a", replaces="a")
    assert [link.broker_order_id for link in chain_of(first).links] in (["a", "b"], ["b", "a"])
    assert "lead in a circle" in read(reader, first.get_absolute_url())
    assert chain_of(make_order(broker_order_id="self", replaces="self")).links == ()


def test_a_chain_of_another_account_does_not_mix_in():
    make_order(make_account("paper"), broker_order_id="old", replaced_by="new")
    order = make_order(broker_order_id="new", replaces="old")
    assert next(link.order for link in chain_of(order).links) is None


def test_a_very_long_chain_shows_what_is_near(monkeypatch, reader):
    monkeypatch.setattr(related, "LINKS_SHOWN", 4)
    orders = make_chain(9)
    chain = chain_of(orders[4])
    assert [link.broker_order_id for link in chain.links] == ["link-2", "link-3", "link-4", "link-5"]
    assert chain.hidden == 5
    assert "5 more links of the chain" in read(reader, orders[8].get_absolute_url())


def test_an_order_without_a_chain_shows_none(reader):
    assert "Replace chain" not in read(reader, make_order().get_absolute_url())


# --- Group --------------------------------------------------------------------------------------------------------


def make_bracket(*, group_id="g-1", leg_rows=True):
    shared = {"group_id": group_id} if group_id else {}
    legs = [{"id": "tp", "type": "limit", "status": "held"}, {"id": "sl", "type": "stop", "status": "held"}]
    parent = make_order(
        broker_order_id="entry",
        order_class="bracket",
        raw={**shared, "created_at": "2025-11-07T14:30:00Z", "legs": legs if leg_rows else None},
    )
    exits = [
        make_order(
            broker_order_id=leg,
            side="sell",
            order_class="bracket",
            order_type=kind,
            status="held",
            raw={**shared, "created_at": "2025-11-07T14:30:00Z"},
        )
        for leg, kind in (("tp", "limit"), ("sl", "stop"))
    ]
    return [parent, *exits]


@pytest.mark.parametrize("options", [{}, {"group_id": ""}])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_entry_and_exits_find_each_other(reader, options, at):
    orders = make_bracket(**options)
    members = group_of(orders[at])
    assert [(m.role, m.broker_order_id) for m in members] == [
        ("entry", "entry"),
        ("take_profit", "tp"),
        ("stop_loss", "sl"),
    ]
    text = read(reader, orders[at].get_absolute_url())
    for other in orders:
        if other != orders[at]:
            assert f'id="group-{other.pk}"' in text


def test_orders_listed_one_by_one_are_found_by_their_group_id():
    orders = make_bracket(leg_rows=False)
    assert {member.broker_order_id for member in group_of(orders[2])} == {"entry", "tp", "sl"}


def test_an_oco_is_its_own_take_profit():
    parent = make_order(
        side="sell",
        order_class="oco",
        order_type="limit",
        broker_order_id="p",
        raw={"legs": [{"id": "s", "type": "stop", "status": "held"}]},
    )
    assert [(m.role, m.order is None) for m in group_of(parent)] == [("take_profit", False), ("stop_loss", True)]


# --- Raw, escaping and cost ---------------------------------------------------------------------------------------


def test_raw_json_is_escaped_and_says_its_age(reader):
    order = make_order(raw={"note": "</pre><script>x()</script>"}, broker_updated_at=NOW, followed_at=NOW)
    text = read(reader, order.get_absolute_url())
    assert "<script>x()" not in text
    assert "last asked for" in text


def test_the_cost_does_not_grow_with_fills_chain_or_events(reader):
    order = make_chain(3, raw={"group_id": "g"}, order_class="bracket")[1]
    make_fill(order, qty="1", price="5")
    few = queries(reader, order.get_absolute_url())
    make_account()
    for number in range(3, 40):
        make_order(broker_order_id=f"link-{number}", replaces=f"link-{number - 1}", raw={"group_id": "g"})
        make_fill(order, qty="1", price="5")
        OrderEvent.objects.create(order=order, at=NOW, kind="fill", text="x", actor="ops")
    assert queries(reader, order.get_absolute_url()) == few
    assert few <= 20
