"""Parameters in Django admin: the effect is shown first, only its confirmation saves. The ledger is read-only."""

import re
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from audit.models import AuditEntry
from positions.models import Adjustment, ParameterChange, Position, RiskParameters
from positions.parameters import change_parameters, ensure_default_parameters
from positions.rebuilding import rebuild_positions
from tests.factories import NOW, make_account, make_adjustment, make_fill, minutes

pytestmark = pytest.mark.django_db

LIST = "/admin/positions/riskparameters/"
FIVE_TEN = {"stop_loss_pct": "5", "target_pct": "10"}


@pytest.fixture
def admin(client):
    """A member of staff who may see and change parameters, but not everything."""
    user = User.objects.create_user("ada", is_staff=True)
    wanted = ["add_riskparameters", "change_riskparameters"]
    seen = [f"view_{model}" for model in ("riskparameters", "parameterchange", "position", "adjustment")]
    user.user_permissions.set(Permission.objects.filter(codename__in=[*wanted, *seen]))
    client.force_login(user)
    return client


@pytest.fixture
def held():
    for symbol in ("QCOM", "NVDA"):
        make_fill(symbol=symbol, price="100")
    make_fill(symbol="IBKR", price="100", at=minutes(0))
    make_fill(symbol="IBKR", price="90", side="sell", at=minutes(1))
    rebuild_positions(account=make_account(), symbols=["QCOM", "NVDA", "IBKR"], now=NOW)


def default_page() -> str:
    return f"{LIST}{ensure_default_parameters(make_account()).pk}/change/"


def hidden_fields(response) -> dict[str, str]:
    """What the confirmation page sends back, its button included."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode())
    return {**dict(found), "_confirmed": "yes"}


def stops() -> dict:
    return dict(Position.objects.values_list("symbol", "stop_loss"))


def nothing_is_saved() -> bool:
    untouched = list(RiskParameters.objects.values_list("symbol", "stop_loss_pct")) == [("", Decimal(8))]
    return untouched and not ParameterChange.objects.exists() and set(stops().values()) <= {Decimal(92)}


@pytest.mark.usefixtures("held")
def test_saving_first_shows_what_it_would_do(admin):
    response = admin.post(default_page(), FIVE_TEN)
    page = response.content.decode()
    assert response.status_code == 200
    assert "stop 5 %, target 10 % from the entry. Nothing is saved yet." in page
    rows = re.findall(r'<th scope="row">(\w+)</th>(.*?)</tr>', page, re.DOTALL)
    shown = {symbol: re.findall(r'<td class="number[^"]*">([^<]*)</td>', cells) for symbol, cells in rows}
    assert shown == {
        "NVDA": ["10", "92.00", "95.00", "116.00", "110.00", "80.00", "50.00"],
        "QCOM": ["10", "92.00", "95.00", "116.00", "110.00", "80.00", "50.00"],
    }
    assert nothing_is_saved()


@pytest.mark.usefixtures("held")
def test_only_the_confirmation_saves_and_as_it_was_shown(admin):
    shown = admin.post(default_page(), FIVE_TEN)
    response = admin.post(default_page(), {**hidden_fields(shown), "apply_to_open": "on"}, follow=True)
    assert "Open positions recalculated: 2." in response.content.decode()
    assert stops() == {"QCOM": 95, "NVDA": 95, "IBKR": 92}
    change = ParameterChange.objects.get()
    assert (change.actor, change.applied_to_open, len(change.effects)) == ("ada", True, 2)
    assert AuditEntry.objects.get().actor == "ada"


@pytest.mark.usefixtures("held")
def test_open_positions_can_be_left_as_they_are(admin):
    shown = admin.post(default_page(), FIVE_TEN)
    admin.post(default_page(), hidden_fields(shown))
    assert RiskParameters.objects.get().stop_loss_pct == 5
    assert stops() == {"QCOM": 92, "NVDA": 92, "IBKR": 92}


@pytest.mark.usefixtures("held")
def test_a_confirmation_of_something_that_moved_shows_it_again(admin):
    shown = admin.post(default_page(), FIVE_TEN)
    make_fill(symbol="QCOM", price="100", at=minutes(2))
    rebuild_positions(account=make_account(), symbols=["QCOM"], now=minutes(2))
    response = admin.post(default_page(), {**hidden_fields(shown), "apply_to_open": "on"})
    page = response.content.decode()
    assert "The open positions have changed since they were shown." in page
    assert "100.00" in page  # the new risk of QCOM
    assert nothing_is_saved()
    admin.post(default_page(), {**hidden_fields(response), "apply_to_open": "on"})
    assert stops() == {"QCOM": 95, "NVDA": 95, "IBKR": 92}


@pytest.mark.usefixtures("held")
def test_a_forged_confirmation_saves_nothing(admin):
    admin.post(default_page(), {**FIVE_TEN, "_confirmed": "yes", "apply_to_open": "on"})
    assert nothing_is_saved()


@pytest.mark.usefixtures("held")
def test_a_symbol_gets_its_own_parameters_and_falls_back_the_same_way(admin):
    asked = {"account": make_account().pk, "symbol": "qcom", **FIVE_TEN}
    shown = admin.post(f"{LIST}add/", asked)
    assert "The parameters of QCOM in Sim (SIM) would be" in shown.content.decode()
    assert RiskParameters.objects.count() == 1
    admin.post(f"{LIST}add/", {**hidden_fields(shown), "apply_to_open": "on"})
    assert stops() == {"QCOM": 95, "NVDA": 92, "IBKR": 92}
    own = RiskParameters.objects.get(symbol="QCOM")
    removal = f"{LIST}{own.pk}/delete/"
    for asked_to_see in (admin.get(removal), admin.post(removal, {"post": "yes"})):
        assert "take the account&#x27;s default" in asked_to_see.content.decode()
        assert RiskParameters.objects.filter(symbol="QCOM").exists()
    response = admin.post(removal, {**hidden_fields(asked_to_see), "apply_to_open": "on"}, follow=True)
    assert "Open positions recalculated: 1." in response.content.decode()
    assert stops() == {"QCOM": 92, "NVDA": 92, "IBKR": 92}
    assert not RiskParameters.objects.filter(symbol="QCOM").exists()
    assert admin.get(removal, follow=True).status_code == 200  # gone: back to the index with a message


def test_without_open_positions_it_says_so(admin):
    shown = admin.post(default_page(), FIVE_TEN)
    assert "No open position takes these parameters" in shown.content.decode()
    admin.post(default_page(), hidden_fields(shown))
    assert RiskParameters.objects.get().target_pct == 10
    response = admin.post(default_page(), hidden_fields(shown), follow=True)
    assert "are like that already" in response.content.decode()
    assert ParameterChange.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"stop_loss_pct": "0", "target_pct": "10"}, "The stop must be more than 0 % from the entry."),
        ({"stop_loss_pct": "100", "target_pct": "10"}, "The stop must be less than 100 %"),
        ({"stop_loss_pct": "5", "target_pct": "1.005"}, "The target takes at most two decimals"),
        ({"stop_loss_pct": "five", "target_pct": "10"}, "Enter a number."),
    ],
)
def test_bad_input_gets_a_sentence_at_its_field(admin, values, sentence):
    response = admin.post(default_page(), {**values, "_confirmed": "yes"})
    assert sentence in response.content.decode()
    assert nothing_is_saved()


def test_the_same_symbol_twice_is_refused(admin):
    ensure_default_parameters(make_account())
    response = admin.post(f"{LIST}add/", {"account": make_account().pk, "symbol": "", **FIVE_TEN})
    assert "have parameters already: change those." in response.content.decode()


def test_the_default_of_an_account_cannot_be_deleted(admin):
    default = ensure_default_parameters(make_account())
    assert admin.post(f"{LIST}{default.pk}/delete/", {"_confirmed": "yes"}).status_code == 403
    assert "deletelink" not in admin.get(default_page()).content.decode()


def test_who_may_only_look_cannot_change(client):
    user = User.objects.create_user("tom", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_riskparameters"))
    client.force_login(user)
    assert client.get(default_page()).status_code == 200
    assert client.post(default_page(), FIVE_TEN).status_code == 403
    assert client.post(f"{LIST}add/", FIVE_TEN).status_code == 403


@pytest.mark.usefixtures("held")
def test_the_list_and_the_history_of_one_row(admin):
    change_parameters(
        account=make_account(), symbol="QCOM", stop_loss_pct=Decimal("2.50"), target_pct=Decimal(5),
        actor="ada", now=minutes(5), apply_to_open=True,
    )  # fmt: skip
    page = admin.get(LIST, {"q": "QC"}).content.decode()
    assert "2.5" in page
    assert "Default" not in re.sub(r"(?s).*<tbody>(.*)</tbody>.*", r"\1", page)
    own = RiskParameters.objects.get(symbol="QCOM")
    history = admin.get(reverse("admin:positions_riskparameters_history", args=[own.pk]), follow=True)
    assert "1 parameter change" in history.content.decode()
    default = ensure_default_parameters(make_account())
    history = admin.get(reverse("admin:positions_riskparameters_history", args=[default.pk]), follow=True)
    assert "0 parameter changes" in history.content.decode()
    change = ParameterChange.objects.get()
    detail = admin.get(f"/admin/positions/parameterchange/{change.pk}/change/").content.decode()
    assert "97.50" in detail
    assert "None of its own" in detail


@pytest.mark.parametrize("model", [Position, Adjustment, ParameterChange])
def test_the_ledger_is_read_only_even_for_a_superuser(admin_client, model):
    make_fill()
    make_adjustment()
    rebuild_positions(account=make_account(), symbols=["QCOM"], now=NOW)
    change_parameters(
        account=make_account(),
        stop_loss_pct=Decimal(5),
        target_pct=Decimal(9),
        actor="ada",
        now=NOW,
        apply_to_open=True,
    )
    row = model.objects.get()
    base = f"/admin/positions/{model._meta.model_name}/"
    assert admin_client.get(base).status_code == 200
    assert admin_client.get(f"{base}{row.pk}/change/").status_code == 200
    assert admin_client.post(f"{base}{row.pk}/change/", {"qty": "1"}).status_code == 403
    assert admin_client.get(f"{base}add/").status_code == 403
    assert admin_client.post(f"{base}{row.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.usefixtures("held")
def test_no_page_has_inline_style_or_script(admin):
    pages = [admin.get(LIST), admin.get(default_page()), admin.post(default_page(), FIVE_TEN)]
    for response in pages:
        page = response.content.decode()
        assert " style=" not in page
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page)
