"""Pages of a history are read as any other page, only faster, and keep the text that is stored."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import history_pages, mapping
from broker.errors import UnreadableAnswer
from tests.broker.samples import dividend_row, fill_row, order_row

SPELLINGS: list[Any] = [None, "", "0", "1.5", "-3", "1E+2", "NaN", "x", "2025-11-06T14:30:00.5Z", 7, 1.25, True, [], {}]
WORDS = st.sampled_from(SPELLINGS)
ORDER_FIELDS = st.sampled_from([*order_row(), "unknown"])
FILL_FIELDS = st.sampled_from([*fill_row(), "unknown"])


def body_of(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


def judged(read: Any, row: object) -> Any:
    """What comes of a row, be it a complaint."""
    try:
        return read(row)
    except UnreadableAnswer as error:
        return str(error)


def as_any_page(body: bytes, read: Any) -> list[Any]:
    return [judged(read, row) for row in mapping.parse_json(body)]


@given(st.dictionaries(ORDER_FIELDS, WORDS), st.sets(ORDER_FIELDS, max_size=2))
def test_an_order_is_what_it_is_on_any_other_page(changes: dict[str, Any], left_out: set[str]) -> None:
    row = {name: value for name, value in order_row(**changes).items() if name not in left_out}
    body = body_of(row)
    found = [judged(history_pages.as_order, seen) for seen in history_pages.orders_of(body)]
    assert found == as_any_page(body, mapping.to_order)


@given(st.dictionaries(FILL_FIELDS, WORDS), st.sets(FILL_FIELDS, max_size=2))
def test_an_activity_is_what_it_is_on_any_other_page(changes: dict[str, Any], left_out: set[str]) -> None:
    row = {name: value for name, value in fill_row(**changes).items() if name not in left_out}
    body = body_of(row, dividend_row())
    found = [judged(history_pages.as_activity, seen) for seen in history_pages.activities_of(body)]
    assert found == as_any_page(body, mapping.to_activity)


@pytest.mark.parametrize("side", ["buy", "sell", "sell_short"])
def test_the_usual_rows_go_the_short_way(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill, order = fill_row(side=side), order_row(status="filled", filled_qty="12", filled_avg_price="1", asset_id=None)
    expected = [mapping.to_order(order)], [mapping.to_activity(fill)]
    monkeypatch.setattr(mapping, "_Fields", None)
    assert (history_pages.orders_of(body_of(order)), history_pages.activities_of(body_of(fill))) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"[]", b" [ ] ", b"\r\n[\t{}\n,{ } ] ", b"{}", b"null", b'"[]"', b"[1]", b"[{}, null]", b"", b"[", b"[{}",
        b"[{},", b"[{},]", b"[{} {}]", b"[{}]x", b"[]]", b"[{", b"[{]", b'[{"a": NaN}]', b"\xff", b'[{"a": "\xff"}]',
        b"[" * 99_999, '[{"id": "é"}]'.encode(), '[{"id": "é"}]'.encode("utf-16"), b"\xef\xbb\xbf[]",
    ],
)  # fmt: skip
def test_what_is_no_list_of_rows_is_judged_as_ever(body: bytes) -> None:
    assert judged(history_pages.orders_of, body) == judged(mapping.parse_json, body)


ODD = order_row(source='say "\\u0041"\n\t\u0000 [}', subtag="tail")


@pytest.mark.parametrize("spelling", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_the_text_of_each_row_is_kept_and_says_what_was_read(spelling: dict[str, Any]) -> None:
    rows = [order_row(id="a"), ODD, order_row(id="c", legs=[{"id": "leg"}])]
    orders = history_pages.orders_of(json.dumps(rows, **spelling).encode())
    assert [json.loads(order.raw_text) for order in orders if order.raw_text] == rows[:2] == [o.raw for o in orders[:2]]
    assert orders[2].raw == rows[2]


@pytest.mark.parametrize("number", ["1.10", "1e3", "-0.0", '{"deep": [0.1]}'])
def test_a_text_that_would_be_read_as_a_float_is_not_kept(number: str) -> None:
    plain = json.dumps(order_row(id="a"))
    body = f'[{plain}, {plain[:-1]}, "new": {number}}}, {plain}]'.encode()
    orders = history_pages.orders_of(body)
    assert [order.raw_text is None for order in orders] == [False, True, False]
    assert [order.raw for order in orders] == mapping.parse_json(body)


def test_letters_beyond_ascii_are_stored_as_they_ever_were() -> None:
    body = json.dumps([order_row(source="é")], ensure_ascii=False).encode()
    assert [history_pages.as_order(row).raw_text for row in history_pages.orders_of(body)] == [None]
