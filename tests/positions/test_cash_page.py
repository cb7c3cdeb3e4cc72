"""The page of the cash ledger: its entries, what they add up to, and the same rows as CSV."""

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.test import Client

from positions.cash import book_opening
from positions.models import CashEntry, Position
from positions.rebuilding import rebuild_position
from tests.factories import NOW, make_account, make_fill

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(people: SimpleNamespace, client: Client) -> Client:
    client.force_login(people.trader)
    return client


def test_without_an_opening_balance_nothing_is_known(client: Client) -> None:
    make_account()
    text = client.get("/positions/cash/").content.decode()
    assert "No entries yet" in text
    assert "not known: the first run that finds no difference books the opening balance" in text


def test_entries_add_up_with_the_fills(client: Client) -> None:
    account = make_account()
    make_fill(qty="10", price="100")
    book_opening(account=account, cash=Decimal(49000), read_at=NOW, actor="system:reconciliation", now=NOW)
    CashEntry.objects.create(
        account=account, activity_id="a1", activity_type="DIV", day=date(2025, 11, 8), symbol="QCOM",
        net_amount=Decimal("4.79"), recorded_at=NOW, recorded_by="fix:1",
    )  # fmt: skip
    text = client.get("/positions/cash/").content.decode()
    assert "50,004.79" in text
    assert "<strong>49,004.79</strong>" in text
    assert 'href="/positions/cash/"' in client.get("/positions/").content.decode()


def test_csv_has_the_same_rows(client: Client) -> None:
    book_opening(account=make_account(), cash=Decimal(100), read_at=NOW, actor="system:reconciliation", now=NOW)
    response = client.get("/positions/cash/?format=csv")
    lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].split(",")[:3] == ["number", "day", "activity_type"]
    assert "OPENING" in lines[1]
    assert "100" in lines[1]


def test_a_dividend_stands_on_the_time_line_of_what_was_held(client: Client) -> None:
    account = make_account()
    make_fill(symbol="QCOM", qty="10", price="100")
    rebuild_position(account=account, symbol="QCOM", now=NOW)
    for day, amount in ((date(2025, 11, 6), "1.11"), (date(2025, 11, 8), "4.79")):
        CashEntry.objects.create(
            account=account, activity_id=str(day), activity_type="DIV", day=day, symbol="QCOM",
            net_amount=Decimal(amount), recorded_at=NOW, recorded_by="fix:1",
        )  # fmt: skip
    text = client.get(f"/positions/{Position.objects.get().pk}/").content.decode()
    assert "Received $4.79: DIV" in text
    assert "$1.11" not in text
