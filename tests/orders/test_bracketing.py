"""The plan `bracket`: entries of a batch get their stop and target before they are recorded, exits never."""

from dataclasses import replace
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from broker.models import ProtectionPlan
from broker.numbers import plain
from broker.types import BrokerPosition
from orders.batch_line import Line
from orders.bracketing import Exits, bracketed, exits_of
from orders.checking import check_batch, check_line_again
from orders.held_shares import held_by_exits
from orders.models import Order
from orders.recording import record_batch

HEAD = "symbol,side,qty,order_type,limit_price,time_in_force\n"


class Book:
    """Stop 8 % and target 16 % away, but for what is planned already."""

    def __init__(self, **planned):
        self._planned = planned

    def reckoned(self, symbol, entry_price, *, is_long):
        sign = 1 if is_long else -1
        return Exits(entry_price * (100 - 8 * sign) / 100, entry_price * (100 + 16 * sign) / 100)

    def planned(self, symbol, *, is_long):
        return self._planned.get(f"{symbol}_{'long' if is_long else 'short'}")


def line(number=1, symbol="QCOM", side="buy", qty="10", **terms):
    for name in {"limit_price", "stop_price", "notional"} & set(terms):
        terms[name] = Decimal(terms[name])
    return Line(number=number, symbol=symbol, side=side, qty=qty and Decimal(qty), **terms)


def held(qty, symbol="QCOM", price="100"):
    number = Decimal(qty)
    return {
        symbol: BrokerPosition(
            symbol=symbol, asset_id="", qty=number, avg_entry_price=Decimal(price), current_price=Decimal(price),
            market_value=None, unrealized_pl=None, raw={},
        )
    }  # fmt: skip


def plan(*lines, positions=None, latest=None, agreed=None, book=None):
    latest = {"QCOM": Decimal(100)} if latest is None else latest
    return bracketed(lines, book=book or Book(), positions=positions or {}, latest=latest, agreed=agreed or {})


def exits(found):
    return [
        (row.order_class, plain(row.stop_loss_stop_price), plain(row.take_profit_limit_price)) for row in found.lines
    ]


def test_a_market_entry_is_reckoned_from_the_latest_trade_and_good_till_cancelled():
    found = plan(line())
    assert exits(found) == [("bracket", "92", "116")]
    assert found.lines[0].time_in_force == "gtc"
    assert found.errors == ()
    assert "reckoned from the price that is known now" in found.warnings[0]


def test_a_limit_entry_is_reckoned_from_its_limit():
    found = plan(line(order_type="limit", limit_price="50", time_in_force="gtc"))
    assert exits(found) == [("bracket", "46", "58")]
    assert found.warnings == ()


def test_a_short_entry_is_mirrored():
    assert exits(plan(line(side="sell"))) == [("bracket", "108", "84")]


def test_a_buy_stop_is_reckoned_from_where_it_buys():
    found = plan(line(order_type="stop", stop_price="110", time_in_force="gtc"))
    assert exits(found)[0][1] == "101.2"


@pytest.mark.parametrize(("qty", "side"), [("10", "sell"), ("25", "sell"), ("-10", "buy")])
def test_an_exit_stays_simple(qty, side):
    found = plan(line(side=side), positions=held(qty))
    assert exits(found) == [("", None, None)]
    assert (found.errors, found.lines[0].time_in_force) == ((), "day")


def test_an_exit_in_dollars_stays_simple():
    assert plan(line(side="sell", qty=None, notional="500"), positions=held("10")).errors == ()


def test_what_the_lines_before_closed_is_counted():
    found = plan(line(1, side="sell", qty="6"), line(2, side="sell", qty="4"), line(3, side="sell"), positions=held(10))
    assert [order_class for order_class, *_ in exits(found)] == ["", "", "bracket"]


def test_a_line_that_turns_a_position_is_two_orders():
    [error] = plan(line(side="sell", qty="15"), positions=held("10")).errors
    assert (error.field, error.line) == ("qty", 1)
    assert "a line that closes 10 and another that opens the rest" in error.message


def test_a_line_with_exits_of_its_own_stays_as_it_is():
    own = line(order_class="bracket", take_profit_limit_price=Decimal(120), stop_loss_stop_price=Decimal(99))
    found = plan(own)
    assert found.lines == (own,)
    assert found.errors == ()


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (line(qty=None, notional="500"), "notional"),
        (line(qty="1.5"), "qty"),
        (line(time_in_force="opg"), "time_in_force"),
        (line(time_in_force="cls"), "time_in_force"),
        (line(time_in_force="ioc"), "time_in_force"),
        (line(order_type="limit", limit_price="99"), "time_in_force"),  # its exits would end at the close
        (line(order_type="trailing_stop", time_in_force="gtc"), "order_type"),
        (line(order_type="limit", limit_price="99", time_in_force="gtc", extended_hours=True), "extended_hours"),
    ],
)
def test_what_cannot_be_a_bracket_is_refused_with_its_field(entry, field):
    found = plan(entry)
    assert [error.field for error in found.errors] == [field]
    assert "this account sends its entries as brackets" in found.errors[0].message
    assert found.lines == (entry,)


def test_without_a_price_nothing_can_be_reckoned():
    [error] = plan(line(), latest={}).errors
    assert error.field == "limit_price"
    assert "give a limit_price" in error.message


def test_what_adds_to_a_position_takes_its_levels():
    book = Book(QCOM_long=Exits(Decimal(80), Decimal(130)))
    found = plan(line(), positions=held("10"), book=book)
    assert exits(found) == [("bracket", "80", "130")]
    assert "What adds to a position" in found.warnings[1]


def test_two_entries_of_a_batch_have_the_same_levels():
    terms = {"order_type": "limit", "time_in_force": "gtc"}
    found = plan(line(1, limit_price="100", **terms), line(2, limit_price="98", **terms))
    assert exits(found) == [("bracket", "92", "116")] * 2


def test_an_entry_beyond_the_levels_that_it_takes_is_refused():
    book = Book(QCOM_long=Exits(Decimal(80), Decimal(100)))
    [error] = plan(line(), positions=held("10"), book=book).errors
    assert "between the stop 80 and the target 100" in error.message


def test_what_was_agreed_stays_unless_the_price_has_left_it():
    agreed = {1: Exits(Decimal("91.5"), Decimal("115.5"))}
    found = plan(line(), agreed=agreed)
    assert exits(found) == [("bracket", "91.5", "115.5")]
    assert exits_of(found.lines) == agreed
    assert plan(line(), agreed=agreed, latest={"QCOM": Decimal(91)}).errors


# --- With Alpaca and the database -----------------------------------------------------------------------------


@pytest.fixture
def bracket_account(sim, sim_account):
    sim_account.protection_plan = ProtectionPlan.BRACKET
    sim_account.save()
    sim.price("QCOM", "100")
    return sim_account


def check(account, text, **given):
    return check_batch(account=account, data=text.encode(), filename="plan.csv", now=timezone.now(), **given)


@pytest.mark.django_db
def test_another_plan_leaves_lines_alone(sim_account):
    checked = check(sim_account, f"{HEAD}QCOM,buy,10,market,,\n")
    assert (checked.is_usable, checked.lines[0].order_class, checked.warnings) == (True, "", ())


@pytest.mark.django_db
def test_the_same_file_is_the_same_file_though_prices_moved(sim, bracket_account):
    text = f"{HEAD}QCOM,buy,10,market,,\n"
    checked = check(bracket_account, text)
    record_batch(account=bracket_account, checked=checked, actor="ops", now=timezone.now(), scheduled_for=None)
    sim.price("QCOM", "103")
    assert check(bracket_account, text).duplicate_of is not None


@pytest.mark.django_db
def test_an_entry_waiting_to_be_sent_gives_its_levels_to_the_next(sim, bracket_account):
    first = check(bracket_account, f"{HEAD}QCOM,buy,10,market,,\n")
    record_batch(account=bracket_account, checked=first, actor="ops", now=timezone.now(), scheduled_for=None)
    sim.price("QCOM", "103")
    second = check(bracket_account, f"{HEAD}QCOM,buy,5,market,,\n")
    assert exits_of(second.lines)[2] == exits_of(first.lines)[2] == Exits(Decimal(92), Decimal(116))


@pytest.mark.parametrize(
    ("side", "held_qty", "free", "warns"),
    [
        ("sell", "10", "0", True), ("sell", "10", "10", False), ("sell", "10", "9", True), ("buy", "10", "0", False),
        ("buy", "-10", "0", True), ("buy", "-10", "-10", False), ("sell", "10", None, False),
    ],
)  # fmt: skip
def test_shares_that_live_exits_hold_are_named(side, held_qty, free, warns):
    [position] = held(held_qty).values()
    position = replace(position, raw={"qty_available": free} if free else {})
    found = list(held_by_exits([line(side=side)], {"QCOM": position}))
    said = f"QCOM ({(free or '').lstrip('-')} of 10 free)."
    assert [text.endswith(said) for text in found] == ([True] if warns else [])


@pytest.mark.django_db
def test_the_preview_shows_what_is_recorded_and_recording_keeps_it(sim, bracket_account, client, people):
    client.force_login(people.ops)
    file = SimpleUploadedFile("plan.csv", f"{HEAD}QCOM,buy,10,market,,\n".encode())
    page = client.post(reverse("orders:batch-upload"), {"file": file})
    text = page.content.decode()
    assert "profit 116.00" in text
    assert "stop 92.00" in text
    assert "bracket" in text
    sim.price("QCOM", "101")
    answer = client.post(
        reverse("orders:batch-confirm"),
        {"file": page.context["signed"], "when": "scheduled", "scheduled_for": "2099-01-04T09:35", "account": "sim"},
    )
    assert answer.status_code == 200  # too far ahead: shown again, as it was agreed
    assert "profit 116.00" in answer.content.decode()
    client.post(reverse("orders:batch-confirm"), {"file": page.context["signed"], "when": "now", "account": "sim"})
    order = Order.objects.get()
    assert (order.order_class, order.time_in_force) == ("bracket", "gtc")
    assert (order.stop_loss_stop_price, order.take_profit_limit_price) == (Decimal(92), Decimal(116))


@pytest.mark.django_db
def test_what_is_recorded_already_is_sent_again_as_it_was_recorded(bracket_account):
    """It was recorded before the plan was chosen, and is one order under one id for life."""
    checked = check_line_again(account=bracket_account, line=line())
    assert (checked.is_usable, checked.lines, checked.warnings) == (True, (line(),), ())


@pytest.mark.django_db
def test_the_command_says_where_the_exits_would_lie(bracket_account, tmp_path, capsys):
    file = tmp_path / "plan.csv"
    file.write_text(f"{HEAD}QCOM,buy,10,market,,\n")
    call_command("submit_batch", str(file), "--dry-run")
    assert "line 2: QCOM is a bracket, stop 92.00, target 116.00" in capsys.readouterr().err
    assert not Order.objects.exists()
