"""The plan `oco`, decided for one position from its rows: pure, and what people are told of it."""

from decimal import Decimal

import pytest
from django_q.models import OrmQ

from orders.models import Order
from positions.due_work import queue_due_work
from positions.models import Position
from positions.protecting import protect_positions, trouble_of, troubles
from positions.protection_plan import Exit, Step, next_step, whole_shares
from positions.rebuilding import rebuild_position
from positions.tasks import protect_positions_task
from tests.factories import NOW, make_account, make_fill, make_order, minutes

STOP, TARGET = Decimal(92), Decimal(116)


def own(generation=1, **fields):
    values = {
        "order_id": generation, "broker_order_id": f"b-{generation}", "submission_state": "confirmed", "status": "new",
        "qty": Decimal(10), "leaves": Decimal(10), "generation": generation, "stop_loss": STOP, "target": TARGET,
    }  # fmt: skip
    return Exit(**{**values, **fields})


def other(**fields):
    return own(**{"order_id": 99, "generation": 0, "stop_loss": None, "target": None, **fields})


def decide(*exits, qty="10", stop_loss=STOP, target=TARGET, is_moving=False):
    return next_step(qty=Decimal(qty), stop_loss=stop_loss, target=target, exits=exits, is_moving=is_moving)


def ended(status, **fields):
    return own(status=status, leaves=Decimal(0), **fields)


def test_nothing_there_places_the_whole_shares():
    found = decide(qty="10.7")
    assert (found.step, found.wish.qty, found.generation) == (Step.PLACE, Decimal(10), 1)


def test_the_first_one_does_not_wait_for_more_fills():
    assert decide(is_moving=True).step == Step.PLACE


@pytest.mark.parametrize("state", ["recorded", "submitting", "unconfirmed"])
def test_what_is_on_its_way_is_waited_for(state):
    assert decide(own(submission_state=state, status="")).step == Step.WAIT


def test_what_is_as_it_should_be_stays():
    assert decide(own()).step == Step.NOTHING
    assert decide(own(stop_loss=Decimal("92.01"))).step == Step.NOTHING


@pytest.mark.parametrize("change", [{"qty": "6"}, {"stop_loss": Decimal("92.02")}, {"target": Decimal(120)}])
def test_fewer_shares_or_another_level_are_placed_anew_once_things_are_quiet(change):
    assert decide(own(), is_moving=True, **change).step == Step.WAIT
    found = decide(own(), **change)
    assert (found.step, found.order.order_id) == (Step.CANCEL, 1)
    assert decide(own(status="pending_cancel"), **change).step == Step.WAIT
    again = decide(ended("canceled", was_cancelled_by_us=True), **change)
    assert (again.step, again.generation) == (Step.PLACE, 2)


def test_more_shares_get_one_of_their_own_once_things_are_quiet():
    assert decide(own(), qty="15", is_moving=True).step == Step.WAIT
    found = decide(own(), qty="15")
    assert (found.step, found.wish.qty, found.generation) == (Step.PLACE, Decimal(5), 2)
    second = own(2, qty=Decimal(5), leaves=Decimal(5))
    assert decide(own(), second, qty="15").step == Step.NOTHING
    assert decide(own(), second, qty="12").order.order_id == 2  # the last goes first
    gone = own(2, qty=Decimal(5), leaves=Decimal(0), status="canceled")
    assert decide(own(), gone, qty="15").step == Step.BLOCKED


def test_one_of_two_that_a_person_cancelled_is_not_placed_again():
    second = own(2, qty=Decimal(5), leaves=Decimal(5))
    assert decide(ended("canceled"), second, qty="15").step == Step.BLOCKED


def test_many_small_ones_are_merged():
    small = [own(number, qty=Decimal(1), leaves=Decimal(1)) for number in range(1, 5)]
    assert decide(*small, qty="4").step == Step.NOTHING
    found = decide(*small, qty="5")
    assert (found.step, found.order.order_id) == (Step.CANCEL, 4)


def test_a_target_that_filled_in_part_leaves_the_rest_live():
    assert (
        decide(own(status="partially_filled", leaves=Decimal(6), filled_qty=Decimal(4)), qty="6").step == Step.NOTHING
    )


@pytest.mark.parametrize(
    ("exit_order", "told"),
    [
        (own(submission_state="rejected", status="", refusal="no shares"), "they were refused by Alpaca: no shares"),
        (own(submission_state="denied", status="", refusal="too late"), "they were not sent: too late"),
        (own(submission_state="not_placed", status=""), "they were not placed"),
        (ended("rejected"), "they were rejected by Alpaca"),
        (ended("canceled"), "they were canceled at Alpaca, not by this program"),
        (ended("expired"), "they were expired at Alpaca, not by this program"),
        (ended("replaced"), "they were replaced at Alpaca, not by this program"),
    ],
)
def test_an_end_that_was_not_ours_is_told_and_not_tried_again_for_the_same(exit_order, told):
    found = decide(exit_order)
    assert (found.step, found.reason) == (Step.BLOCKED, told)
    assert decide(exit_order, qty="12").step == Step.PLACE


def test_what_a_person_cancelled_half_filled_is_the_same_wish():
    gone = ended("canceled", filled_qty=Decimal(4))
    assert decide(gone, qty="6").step == Step.BLOCKED


def test_more_shares_after_the_target_was_filled_are_a_new_wish():
    found = decide(ended("filled", filled_qty=Decimal(10)), qty="5")
    assert (found.step, found.wish.qty, found.generation) == (Step.PLACE, Decimal(5), 2)


def test_shares_that_other_exits_hold_are_left_to_them():
    assert decide(other()).step == Step.NOTHING
    assert decide(other(leaves=None)).step == Step.NOTHING
    assert decide(other(leaves=Decimal(4))).wish.qty == 6
    assert decide(other(status="held")).wish.qty == 10
    assert decide(other(status="canceled")).wish.qty == 10
    assert decide(other(submission_state="recorded", status="")).wish.qty == 10


def test_a_triggered_stop_of_ours_is_left_to_fill():
    """Alpaca cancels the take-profit when the stop is triggered; the stop works on under an id of its own."""
    assert decide(ended("canceled"), other(status="new")).step == Step.NOTHING


def test_without_levels_a_person_has_to_look():
    assert decide(stop_loss=None).step == Step.BLOCKED


@pytest.mark.parametrize(("qty", "whole"), [("10", 10), ("-10.9", 10), ("0.99", 0)])
def test_whole_shares(qty, whole):
    assert whole_shares(Decimal(qty)) == whole


# --- What people see ------------------------------------------------------------------------------------------


@pytest.fixture
def refused(db):
    """A position whose OCO was refused."""
    account = make_account(protection_plan="oco")
    make_fill(at=minutes(-60))
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    position = Position.objects.get()
    make_order(
        side="sell", origin="protection", order_class="oco", order_type="limit", submission_state="rejected",
        client_order_id=f"ts-p-position{position.pk}g1-abc", refusal="insufficient qty.",
        stop_loss_stop_price=STOP, take_profit_limit_price=TARGET,
    )  # fmt: skip
    return position


def test_a_refusal_is_on_the_overview_and_on_the_position_s_page(client, people, refused):
    said = "The exits of QCOM are not at Alpaca: they were refused by Alpaca: insufficient qty."
    assert troubles(refused.account, NOW) == [(refused, said)]
    assert trouble_of(refused, NOW) == said
    client.force_login(people.trader)
    assert client.get("/").context["concerns"][0].text == said
    assert said in client.get(refused.get_absolute_url()).content.decode()
    assert protect_positions(account=refused.account, now=NOW) == 0


def test_another_plan_has_nothing_to_do_with_it(refused):
    refused.account.protection_plan = "record_only"
    refused.account.save()
    refused.refresh_from_db()
    assert (troubles(refused.account, NOW), trouble_of(refused, NOW)) == ([], "")


@pytest.mark.parametrize(("plan", "queued"), [("oco", 1), ("bracket", 0), ("record_only", 0)])
def test_the_worker_finds_it_in_the_rows_and_queues_it_once(db, plan, queued):
    make_account(protection_plan=plan)
    make_fill(at=minutes(-60))
    rebuild_position(account=make_account(), symbol="QCOM", now=NOW)
    assert [queue_due_work(NOW), queue_due_work(NOW)] == [queued, 0]
    assert OrmQ.objects.count() == queued


def test_the_task_records_it_and_is_harmless_twice(db):
    account = make_account(protection_plan="oco")
    make_fill(at=minutes(-60))
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    for _ in range(2):
        protect_positions_task(account.pk)
    order = Order.objects.get(origin="protection")
    assert (order.submission_state, order.qty) == ("recorded", Decimal(10))
    assert (order.stop_loss_stop_price, order.limit_price) == (STOP, TARGET)


@pytest.mark.parametrize(
    ("exit_order", "at_alpaca"),
    [
        ("ours", {"status": "filled", "filled_qty": "10"}),
        ("ours", {"status": "partially_filled", "filled_qty": "4"}),
        ("a trader's", {"status": "filled", "filled_qty": "10"}),
        ("a trader's", {"status": "partially_filled", "filled_qty": "4"}),
    ],
)
def test_shares_that_alpaca_sold_are_not_sold_again_before_their_fill_is_booked(db, exit_order, at_alpaca):
    account = make_account(protection_plan="oco")
    make_fill(at=minutes(-60))
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    sold = make_order(side="sell", broker_updated_at=NOW, **at_alpaca)
    if exit_order == "ours":
        Order.objects.filter(pk=sold.pk).update(
            origin="protection", client_order_id=f"ts-p-position{Position.objects.get().pk}g1-abc",
            stop_loss_stop_price=STOP, take_profit_limit_price=TARGET,
        )  # fmt: skip
    assert protect_positions(account=account, now=NOW) == 0
    make_fill(sold, qty=at_alpaca["filled_qty"], at=minutes(-1))
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    Order.objects.filter(pk=sold.pk, status="filled").update(is_booked=True)
    assert protect_positions(account=account, now=NOW) == 0


def test_exits_of_a_position_whose_entry_fill_is_on_its_way_are_not_cleared_away(db):
    account = make_account(protection_plan="oco")
    make_order(status="filled", filled_qty="10", broker_updated_at=NOW)
    exits = make_order(side="sell", origin="protection", client_order_id="ts-p-position1g1-abc")
    assert protect_positions(account=account, now=NOW) == 0
    Order.objects.exclude(pk=exits.pk).update(is_booked=True)
    assert protect_positions(account=account, now=NOW) == 1


def test_two_generations_of_a_position_never_share_a_number(db):
    """Whoever looked before the other's commit finds it under way, and records nothing."""
    account = make_account(protection_plan="oco")
    make_fill(at=minutes(-60))
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    assert [protect_positions(account=account, now=NOW) for _ in range(3)] == [1, 0, 0]
    assert Order.objects.filter(client_order_id__contains="g1-").count() == 1
