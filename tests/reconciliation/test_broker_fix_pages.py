"""What acts at Alpaca looks different, is approved by itself with its symbol typed, and never together with copies."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from broker.models import Account
from orders.models import Order, OrderChange
from reconciliation.models import Fix
from reconciliation.tasks import apply_approved_task
from tests.conftest import PASSWORD
from tests.reconciliation.steps import open_books, placed, reconcile, record_as
from tests.simulation import SimAccount
from tradingsite.people import BROKER, OPS, TRADER, ensure_person

pytestmark = pytest.mark.django_db

BOARD = "/reconciliation/"


@pytest.fixture
def account(sim_account: Account) -> Account:
    open_books(sim_account)
    for name, group in (("trader", TRADER), ("ops", OPS), ("keeper", OPS)):
        ensure_person(username=name, group=group, password=PASSWORD)
    return sim_account


@pytest.fixture
def fix(account: Account, sim: SimAccount) -> Fix:
    """A naked position in an account that wants exits, beside an order that is not recorded."""
    ensure_person(username="keeper", group=BROKER)
    sim.price("QCOM", "100")
    record_as(account, sim, placed(sim, client_order_id="ts-1"))
    placed(sim, client_order_id="ts-2", symbol="NVDA", type="limit", limit_price="1.00", wait="new")
    account.protection_plan = "oco"
    account.save()
    reconcile(account)
    return Fix.objects.get(acts_at_broker=True)


def as_person(name: str) -> Client:
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


def act(client: Client, fix: Fix, symbol: str = "QCOM", **fields: str) -> Any:
    return client.post(
        f"/reconciliation/fixes/{fix.pk}/act/", {"typed_symbol": symbol, "shown": fix.fingerprint, **fields}
    )


def state(fix: Fix) -> str:
    fix.refresh_from_db()
    return fix.state


def test_the_board_says_that_it_acts_and_offers_no_backfill(fix: Fix) -> None:
    page = as_person("keeper").get(BOARD).content.decode()
    assert "Acts at Alpaca" in page
    assert f'id="act-{fix.pk}"' in page
    assert f'id="backfill-{fix.pk}"' not in page
    assert f'id="select-{fix.pk}"' not in page


@pytest.mark.parametrize("scope", ["all", "safe", "listed", "selected", "only"])
def test_no_bulk_approval_takes_it_along(fix: Fix, scope: str) -> None:
    copy = Fix.objects.get(acts_at_broker=False)
    posted: dict[str, Any] = {
        "scope": scope, "shown": f"{fix.pk}:{fix.fingerprint},{copy.pk}:{copy.fingerprint}",
        "fix": [fix.pk, copy.pk], "confirmed": "yes", "typed_count": "2",
    }  # fmt: skip
    if scope == "only":
        posted["only"] = fix.pk
    as_person("keeper").post("/reconciliation/approve/", posted)
    assert state(fix) == Fix.State.PROPOSED
    assert state(copy) == ("proposed" if scope == "only" else "approved")


def test_the_dialog_names_what_is_done(fix: Fix) -> None:
    page = as_person("keeper").get(fix.get_absolute_url()).content.decode()
    for words in (
        "This is trading, not copying.",
        "It sends Alpaca an order to sell 10 QCOM: a stop at 92 and a target at 116, of which one ends the other.",
        "cannot be taken back",
        "Type QCOM to go on",
    ):
        assert words in page


@pytest.mark.parametrize("name", ["trader", "ops"])
def test_whoever_may_not_sees_who_may(fix: Fix, name: str) -> None:
    client = as_person(name)
    page = client.get(fix.get_absolute_url()).content.decode()
    assert "You may not approve it." in page
    assert "keeper may." in page
    assert "typed_symbol" not in page
    assert act(client, fix).status_code == 403
    assert state(fix) == Fix.State.PROPOSED


def test_the_symbol_must_be_typed(fix: Fix) -> None:
    client = as_person("keeper")
    page = act(client, fix, "QCON")
    assert "expected QCOM, found QCON" in page.content.decode()
    assert state(fix) == Fix.State.PROPOSED
    assert act(client, fix, "qcom").status_code == 302
    assert state(fix) == Fix.State.APPROVED


def test_another_picture_than_the_one_shown_is_refused(fix: Fix) -> None:
    assert act(as_person("keeper"), fix, shown="0" * 64).status_code == 302
    assert state(fix) == Fix.State.PROPOSED


def test_from_the_click_to_the_receipt_and_its_opposite(fix: Fix, account: Account) -> None:
    client = as_person("keeper")
    act(client, fix)
    apply_approved_task(account.pk)
    assert state(fix) == Fix.State.VERIFIED, fix.outcome
    page = client.get(fix.get_absolute_url()).content.decode()
    assert "What Alpaca was asked for, and what became of it" in page
    assert "Propose its opposite" in page
    assert "Undo</button>" not in page
    wish = {"reason": "not meant"}
    assert as_person("ops").post(f"/reconciliation/fixes/{fix.pk}/opposite/", wish).status_code == 403
    client.post(f"/reconciliation/fixes/{fix.pk}/opposite/", wish)
    reconcile(account)
    assert Fix.objects.filter(action="cancel_order").proposed().count() == 1
    assert client.post(f"/reconciliation/fixes/{fix.pk}/undo/", wish, follow=True).status_code == 200
    assert state(fix) == Fix.State.VERIFIED


def test_failed_at_alpaca_says_so(fix: Fix, account: Account, sim: SimAccount) -> None:
    client = as_person("keeper")
    act(client, fix)
    sim.fault("status", "POST", "/v2/orders", status=403, body='{"code": 40310000, "message": "no stops today"}')
    apply_approved_task(account.pk)
    page = client.get(fix.get_absolute_url()).content.decode()
    assert "It did not come about at Alpaca." in page
    assert "no stops today" in page


def test_zombie_shows_the_choice(account: Account, sim: SimAccount) -> None:
    ensure_person(username="keeper", group=BROKER)
    raw = placed(sim, client_order_id="ts-1", type="limit", limit_price="1.00", time_in_force="gtc", wait="new")
    record_as(account, sim, raw)
    Order.objects.update(status="canceled", broker_updated_at=None)
    reconcile(account)
    page = as_person("keeper").get(BOARD).content.decode()
    assert "Or act at Alpaca: cancel the order to buy 10 qcom, limit 1" in page


# --- Commands -------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command(*arguments, stdout=out)
    return int(ended.value.code or 0), out.getvalue()


def test_backfill_all_copies_only(fix: Fix) -> None:
    code, text = run("backfill", "--all", "--as", "keeper", "--json")
    document = json.loads(text)
    assert (code, [row["acts_at_broker"] for row in document["fixes"]]) == (0, [False])
    assert not OrderChange.objects.exists()
    assert not Order.objects.filter(origin="protection").exists()


def test_backfill_by_id_needs_the_permission(fix: Fix) -> None:
    with pytest.raises(CommandError, match=r"acts at Alpaca, which ops may not approve\. keeper may") as refused:
        call_command("backfill", "--fix", str(fix.pk), "--as", "ops")
    assert refused.value.returncode == 2
    code, text = run("backfill", "--fix", str(fix.pk), "--as", "keeper", "--json")
    assert (code, json.loads(text)["fixes"][0]["state"]) == (0, "verified")


def test_undo_of_it_is_refused_with_the_way_back(fix: Fix) -> None:
    run("backfill", "--fix", str(fix.pk), "--as", "keeper")
    with pytest.raises(CommandError, match="Its opposite is to cancel the order that it placed") as refused:
        call_command("undo_fix", str(fix.pk), "--as", "keeper")
    assert refused.value.returncode == 2
