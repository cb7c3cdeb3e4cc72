"""The what-if of a position as a page and as a fragment: what it shows, refuses and leads to; it changes nothing."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.models import AccountSnapshot
from positions.models import ParameterChange, Position, RiskParameters
from tests.factories import NOW, make_account
from tests.positions.test_pages import make_position

HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


@pytest.fixture
def admin(client, people):
    client.force_login(people.admin)
    return client


def ask(client, position, query="", **headers):
    response = client.get(f"{position.get_absolute_url()}what-if/?{query}", headers=headers)
    assert response.status_code == 200
    return response


def make_held(**fields):
    defaults = {"stop_loss_pct": "8", "target_pct": "16", "last_price": "105"}
    return make_position(**{**defaults, **fields})


def make_snapshot(equity="10000"):
    zero = dict.fromkeys(("last_equity", "cash", "buying_power", "long_market_value", "short_market_value"), "0")
    return AccountSnapshot.objects.create(account=make_account(), read_at=NOW, equity=equity, **zero)


def test_the_position_page_shows_what_is_in_force_on_both_sides(reader):
    context = reader.get(make_held().get_absolute_url()).context
    assert context["what_if"].before == context["what_if"].after
    assert (context["what_if"].after.stop_loss, context["what_if"].after.target) == (92, 116)


@pytest.mark.parametrize(
    ("side", "qty", "last", "query", "stop", "target", "risk"),
    [
        ("long", "10", "105", "stop_pct=5&target_pct=20", "95", "120", "50"),
        ("long", "10", "105", "stop_pct=5", "95", "116", "50"),
        ("long", "10", "105", "target_pct=20", "92", "120", "80"),
        ("long", "10", "105", "stop_pct=5&stop_price=97.5", "97.5", "116", "25"),
        ("long", "10", "105", "target_price=130.004", "92", "130", "80"),
        ("short", "-10", "95", "stop_pct=5&target_pct=20", "105", "80", "50"),
        ("short", "-10", "95", "stop_price=103&target_price=70", "103", "70", "30"),
    ],
)
def test_percentages_and_prices_are_worked_out(reader, side, qty, last, query, stop, target, risk):
    levels = {"stop_loss": "108", "target": "84"} if side == "short" else {}
    position = make_held(side=side, qty=qty, last_price=last, **levels)
    after = ask(reader, position, query).context["what_if"].after
    assert (after.stop_loss, after.target, after.total_risk) == (Decimal(stop), Decimal(target), Decimal(risk))


def test_the_accounts_open_risk_is_shown_before_and_after(reader):
    make_snapshot()
    make_held(symbol="OTHER", total_risk="420")
    make_held(symbol="CLOSED", state="closed", qty="0", total_risk="999")
    text = ask(reader, make_held(), "stop_pct=5").content.decode()
    assert ">500.00<" in text
    assert ">470.00<" in text
    assert ">5.00 %<" in text
    assert ">4.70 %<" in text


def test_it_changes_nothing(reader):
    position = make_held()
    before = Position.objects.values().get()
    ask(reader, position, "stop_pct=3&target_pct=99")
    assert Position.objects.values().get() == before
    assert not ParameterChange.objects.exists()
    assert not RiskParameters.objects.exists()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("stop_pct=0", "more than 0 %"),
        ("stop_pct=100", "less than 100 %"),
        ("stop_pct=1.234", "at most two decimals"),
        ("target_pct=1001", "at most 1000 %"),
        ("stop_pct=abc", "Enter a number."),
        ("stop_price=-1", "greater than or equal to 0.0001"),
        ("stop_pct=NaN", "Enter a number."),
        ("target_price=1e99", "less than or equal to 10000000"),
    ],
)
def test_nonsense_is_refused_with_the_reason(reader, query, sentence):
    response = ask(reader, make_held(), query)
    assert "what_if" not in response.context
    assert sentence in response.content.decode()


def test_a_target_of_a_short_stays_above_zero(reader):
    text = ask(reader, make_held(side="short", qty="-10"), "target_pct=100").content.decode()
    assert "no price falls below 0" in text


def test_a_stop_beyond_the_last_price_warns(reader):
    position = make_held()
    assert "it would trigger at once" in ask(reader, position, "stop_price=105").content.decode()
    assert "it would trigger at once" not in ask(reader, position, "stop_price=104").content.decode()


def test_htmx_gets_the_result_alone_and_others_a_page(reader):
    position = make_held()
    fragment = ask(reader, position, "stop_pct=5", **HTMX).content.decode()
    assert 'hx-swap-oob="innerHTML">Stop 95.00, target 116.00: risk $50.00, reward to risk 3.20 : 1.' in fragment
    assert '<div class="stack" id="what-if-result">' in fragment
    assert "<html" not in fragment
    assert "<form" not in fragment
    page = ask(reader, position, "stop_pct=5").content.decode()
    assert "<h1>What if: QCOM long</h1>" in page
    assert 'name="stop_pct" value="5"' in page


@pytest.mark.parametrize("state", ["closed", "pending"])
def test_what_is_not_open_has_nothing_to_try(reader, state):
    position = make_held(state=state, qty="0", avg_entry_price=None if state == "pending" else "100")
    assert "what_if" not in ask(reader, position, "stop_pct=5").context
    assert "what-if-form" not in reader.get(position.get_absolute_url()).content.decode()
    assert "not open any more" in ask(reader, position, "stop_pct=5", **HTMX).content.decode()


def test_who_may_change_parameters_is_led_to_the_admin_with_the_values(admin):
    position = make_held()
    href = ask(admin, position, "stop_price=95.5").context["save_href"]
    assert href.startswith("/admin/positions/riskparameters/add/?")
    form = admin.get(href).content.decode()
    assert 'name="stop_loss_pct" value="4.5' in form or 'value="4.50"' in form
    assert 'value="QCOM"' in form


def test_parameters_of_its_own_are_changed_not_added(admin):
    position = make_held()
    own = RiskParameters.objects.create(
        account=make_account(), symbol="QCOM", stop_loss_pct="8", target_pct="16", updated_at=NOW
    )
    href = ask(admin, position, "stop_pct=5&target_pct=20").context["save_href"]
    assert href == f"/admin/positions/riskparameters/{own.pk}/change/?stop_loss_pct=5&target_pct=20"
    form = admin.get(href).content.decode()
    assert 'name="stop_loss_pct" value="5"' in form
    assert 'name="target_pct" value="20"' in form
    assert RiskParameters.objects.get(pk=own.pk).stop_loss_pct == 8


def test_others_are_told_whom_to_ask(reader):
    response = ask(reader, make_held(), "stop_pct=5")
    assert not response.context["save_href"]
    assert "ask an admin" in response.content.decode()


def test_levels_that_parameters_cannot_say_lead_nowhere(admin):
    response = ask(admin, make_held(), "stop_price=101")
    assert not response.context["can_be_parameters"]
    assert "riskparameters/add" not in response.content.decode()


def test_it_asks_the_same_number_of_queries_for_2_and_40_other_positions(reader):
    position = make_held()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            ask(reader, position, "stop_pct=5")
        return len(captured)

    for number in range(2):
        make_held(symbol=f"S{number}")
    few = queries()
    for number in range(2, 40):
        make_held(symbol=f"S{number}")
    assert queries() == few
