"""Entering a number on the pages and by command: who may, what is refused and how, and what is told of it."""

import json
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEntry
from broker.models import Account
from positions.models import Adjustment, Position
from positions.rebuilding import rebuild_positions
from reconciliation.applying import apply_approved
from reconciliation.entered_rows import EnteredValue
from reconciliation.entered_values import enter_value, read_price
from reconciliation.errors import ReconciliationError
from reconciliation.models import Drift, Fix, Run
from tests.factories import make_account, make_adjustment
from tests.reconciliation.rows import HTMX, INDEX, make_drift, make_fix, make_run, page, shown
from tests.reconciliation.steps import open_books, reconcile
from tests.simulation import SimAccount

pytestmark = pytest.mark.django_db
NASTY = "<script>alert(1)</script> \"' & so on"


@pytest.fixture
def account() -> Account:
    return make_account(name="Simulator")


@pytest.fixture
def drift(account: Account) -> Drift:
    return closed(make_run(account), "NVDA")


@pytest.fixture
def ops(client: Client, people: SimpleNamespace) -> Client:
    client.force_login(people.ops)
    return client


def closed(run: Run, symbol: str, **fields: Any) -> Drift:
    return make_drift(
        run,
        symbol,
        key=f"closed_without_exit:{symbol}#1",
        kind="closed_without_exit",
        group="positions",
        sentence=f"The long position of 7 {symbol} is closed without an exit.",
        **fields,
    )


def address(drift: Drift) -> str:
    return f"/reconciliation/drifts/{drift.pk}/enter/"


def typed(drift: Drift, price: str = "200.5", reason: str = "Statement", **more: str) -> dict[str, str]:
    prefix = f"entered-{drift.pk}"
    return {f"{prefix}-price": price, f"{prefix}-reason": reason, "entered": "enter", **more}


# --- Who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(("who", "status"), [("nobody", 302), ("trader", 403), ("ops", 200), ("admin", 200)])
def test_who_may_enter(people: SimpleNamespace, drift: Drift, method: str, who: str, status: int) -> None:
    client = Client()
    if who != "nobody":
        client.force_login(getattr(people, who))
    answer = getattr(client, method)(address(drift), typed(drift) if method == "post" else {})
    may = who in {"ops", "admin"}
    assert answer.status_code == (302 if may and method == "post" else status)
    if who == "nobody":
        assert answer["Location"].startswith("/accounts/login/")
    assert EnteredValue.objects.exists() is (may and method == "post")
    assert AuditEntry.objects.exists() is EnteredValue.objects.exists() is Run.objects.filter(state="queued").exists()


def test_a_token_is_needed_and_other_methods_are_refused(people: SimpleNamespace, drift: Drift) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.ops)
    assert client.post(address(drift), typed(drift)).status_code == 403
    assert client.put(address(drift)).status_code in {403, 405}
    assert not EnteredValue.objects.exists()


def test_a_trader_sees_what_is_asked_and_who_may(client: Client, people: SimpleNamespace, drift: Drift) -> None:
    client.force_login(people.trader)
    text = page(client)
    assert "Exit price: who knows it" in text
    assert "Entering it is for the groups ops and admin." in text
    assert address(drift) not in text


# --- The form -----------------------------------------------------------------------------------------------------


def test_what_is_entered_on_the_board_is_recorded_and_a_run_is_asked_for(ops: Client, drift: Drift) -> None:
    text = page(ops)
    assert f'formaction="{address(drift)}"' in text
    answer = ops.post(address(drift), typed(drift, at=INDEX), headers=HTMX)
    assert answer.status_code == 200
    value = EnteredValue.objects.get()
    assert (str(value.price), value.reason, value.entered_by) == ("200.5", "Statement", "ops")
    run = Run.objects.get(state="queued")
    assert f"Run {run.pk} proposes the fix." in answer.content.decode()
    assert "entered by ops</abbr>" in answer.content.decode()
    ops.post(address(drift), typed(drift, "201"))
    assert Run.objects.filter(state="queued").count() == 1, "one that waits sees both"
    assert EnteredValue.objects.filter(ended_at=None).get().price == 201


def test_it_is_withdrawn_by_the_button_beside_it(ops: Client, drift: Drift) -> None:
    ops.post(address(drift), typed(drift))
    assert f'id="withdraw-value-{drift.pk}"' in page(ops)
    assert ops.post(address(drift), {"entered": "withdraw"})["Location"] == INDEX
    assert EnteredValue.objects.get().ended_by == "ops"
    assert f'id="withdraw-value-{drift.pk}"' not in page(ops)


WRONG = [
    ("", "found nothing"),
    ("0", "found 0"),
    ("-5", "found -5"),
    ("1,200.50", "found 1,200.50"),
    ("12,5", "found 12,5"),
    ("1e3", "found 1e3"),
    ("NaN", "found NaN"),
    ("١٢", "found ١٢"),
    ("1.0000000001", "at most 9 decimal places"),
    ("1000000001", "found 1000000001"),
]


@pytest.mark.parametrize(("price", "says"), WRONG)
def test_a_wrong_price_is_refused_with_field_and_expectation(ops: Client, drift: Drift, price: str, says: str) -> None:
    answer = ops.post(address(drift), typed(drift, price))
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Exit price: expected dollars a share, above 0, such as 172.30" in text
    assert says in text
    assert 'value="Statement"' in text, "what was typed beside it stays"
    fragment = ops.post(address(drift), typed(drift, price), headers=HTMX).content.decode()
    assert "Nothing was entered. Exit price: expected" in fragment
    assert not EnteredValue.objects.exists()


@pytest.mark.parametrize("reason", ["", "   ", "x" * 301])
def test_a_reason_is_needed_and_fits(ops: Client, drift: Drift, reason: str) -> None:
    text = ops.post(address(drift), typed(drift, reason=reason)).content.decode()
    assert "Reason: expected where the number is from, in 1 to 300 characters; found" in text
    assert not EnteredValue.objects.exists()


def test_places_that_say_nothing_are_taken() -> None:
    assert read_price(" 12.3400000000000 ", "Exit price") == read_price("12.34", "Exit price")


@pytest.mark.parametrize(("price", "is_odd"), [("150", False), ("151", True), ("49", True), ("100", False)])
def test_a_price_far_from_the_latest_one_is_taken_with_a_warning(
    ops: Client, account: Account, drift: Drift, price: str, is_odd: bool
) -> None:
    make_adjustment(account, symbol="NVDA")
    rebuild_positions(account=account, symbols={"NVDA"}, now=timezone.now())
    Position.objects.update(last_price="100", last_price_at=timezone.now())
    text = ops.post(address(drift), typed(drift, price), headers=HTMX).content.decode()
    assert ("times the latest price of NVDA, 100: is it right?" in text) is is_odd
    assert bool(EnteredValue.objects.get().doubt) is is_odd
    assert ("data-doubt" in page(ops)) is is_odd, "whoever approves sees it too"


def test_what_people_typed_is_text_and_no_markup(ops: Client, drift: Drift) -> None:
    wrong = ops.post(address(drift), typed(drift, NASTY, NASTY)).content.decode()
    ops.post(address(drift), typed(drift, reason=NASTY))
    for text in (wrong, page(ops), page(ops, address(drift)), page(ops, "/audit/")):
        assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in page(ops)


@pytest.mark.parametrize("state", ["resolved", "ignored"])
def test_what_stands_no_more_takes_no_number(ops: Client, drift: Drift, state: str) -> None:
    Drift.objects.update(state=state)
    assert ops.post(address(drift), typed(drift))["Location"] == INDEX
    assert not EnteredValue.objects.exists()
    with pytest.raises(ReconciliationError, match="no number is needed"):
        enter_value(drift=Drift.objects.get(), price="1", reason="x", actor="ops", now=timezone.now())


def test_it_is_offered_only_where_a_number_is_missing(ops: Client, account: Account) -> None:
    run = make_run(account)
    plan = [{"op": "book_adjustment", "kind": "correction", "qty": "-10", "symbol": "AAPL"}]
    fix = make_fix(run, "AAPL", key="position_database_only:AAPL", action="adjust_position", plan=plan)
    common: dict[str, Any] = {"group": "positions", "kind": "position_database_only", "local": {"qty": "10"}}
    gone = make_drift(run, "AAPL", fix=fix, key=fix.key, broker={"qty": "0"}, **common)
    more = make_drift(run, "NVDA", key="position_qty:NVDA", broker={"qty": "12"}, **common)
    follows = closed(run, "MSFT", cause=gone)
    text = page(ops)
    assert address(gone) in text
    assert address(more) not in text
    assert address(follows) not in text
    assert address(gone) in page(ops, fix.get_absolute_url())
    Fix.objects.update(state="approved", approved_at=timezone.now(), approved_by="ops")
    assert address(gone) not in page(ops)


def test_the_board_asks_no_more_questions_for_more_of_them(
    ops: Client, account: Account, django_assert_max_num_queries: Any
) -> None:
    run, counts = make_run(account), []
    for number in (2, 20):
        for index in range(Drift.objects.count(), number):
            drift = closed(run, f"S{index}")
            enter_value(drift=drift, price="10", reason="Statement", actor="ops", now=timezone.now())
        page(ops)
        with django_assert_max_num_queries(60) as seen:
            page(ops)
        counts.append(len(seen))
    assert counts[0] == counts[1]


# --- From the form to the position's page -------------------------------------------------------------------------


@pytest.fixture
def left(sim_account: Account) -> Drift:
    """Books with a position that is closed at Alpaca and does not say how."""
    open_books(sim_account)
    make_adjustment(sim_account, symbol="NVDA", qty="7", price="190")
    rebuild_positions(account=sim_account, symbols={"NVDA"}, now=timezone.now())
    Position.objects.update(state="closed", qty=0, avg_exit_price=None, realized_pl=0, closed_at=timezone.now())
    reconcile(sim_account)
    return Drift.objects.get()


def test_it_is_told_as_entered_wherever_the_price_is_shown(ops: Client, sim_account: Account, left: Drift) -> None:
    ops.post(address(left), typed(left, reason=NASTY))
    reconcile(sim_account)
    fix = Fix.objects.proposed().get()
    assert "Book the exit of 7 NVDA at 200.5, entered by ops" in page(ops)
    assert "at the price that ops entered" in page(ops, fix.get_absolute_url())
    form = {"only": str(fix.pk), "shown": shown(fix), "confirmed": "yes"}
    assert ops.post("/reconciliation/approve/", form)["Location"] == INDEX
    assert [done.state for done in apply_approved(account=sim_account, actor="ops").fixes] == ["verified"]
    position = Position.objects.get()
    for path in (position.get_absolute_url(), "/positions/?status=closed"):
        text = page(ops, path)
        assert "entered by ops</abbr>" in text, path
        assert "<script>alert(1)" not in text
    history = page(ops, reverse("positions:history", args=[position.pk]), headers=HTMX)
    assert history.count("entered by ops</abbr>") == 2, "the time line and the ledger"
    assert "&lt;script&gt;alert(1)" in history


def command(*words: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(*words, stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue(), err.getvalue()
    except CommandError as refusal:
        return refusal.returncode, "", str(refusal)
    return 0, out.getvalue(), err.getvalue()


def test_the_command_enters_it_and_says_what_is_proposed(
    people: SimpleNamespace, sim_account: Account, sim: SimAccount, left: Drift
) -> None:
    assert f"exit price wanted: enter_price {left.pk}" in command("reconcile")[1]
    words = ["enter_price", str(left.pk), "200.5", "--reason", "Statement", "--as", "ops"]
    status, out, _ = command(*words)
    fix = Fix.objects.proposed().get()
    assert (status, out.splitlines()[0]) == (0, f"fix {fix.pk}  Book the exit of 7 NVDA at 200.5, entered by ops")
    assert "200.5" in out.split("\n", 1)[1]
    status, out, _ = command(*words, "--json")
    document = json.loads(out)
    assert (status, document["drift"], document["fix"]["id"], document["doubt"]) == (0, left.pk, fix.pk, None)
    assert command("backfill", "--fix", str(fix.pk), "--as", "ops")[0] == 0
    assert Adjustment.objects.get(kind="correction").entered_by == "ops"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["{drift}", "12,5", "--reason", "x", "--as", "ops"], "Exit price: expected dollars a share"),
        (["{drift}", "12.5", "--reason", " ", "--as", "ops"], "Reason: expected where the number is from"),
        (["{drift}", "12.5", "--reason", "x", "--as", "trader"], "User trader may not enter prices for backfills"),
        (["{drift}", "12.5", "--reason", "x", "--as", "nobody"], "There is no active user 'nobody'."),
        (["99999", "12.5", "--reason", "x", "--as", "ops"], "There is no difference 99999."),
    ],
)
def test_the_command_refuses_in_a_sentence(people: SimpleNamespace, drift: Drift, words: list[str], says: str) -> None:
    status, _, err = command("enter_price", *(word.format(drift=drift.pk) for word in words))
    assert status == 2
    assert says in err
    assert not EnteredValue.objects.exists()
