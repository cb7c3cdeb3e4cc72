"""PostgreSQL hands the keys of a JSON column back in an order of its own; what is told keeps ours."""

from reconciliation.list_counts import in_reading_order, what_was_read


def test_counts_are_told_in_one_order_however_they_come():
    facts = {"rows": 512, "pages": 1, "last_cursor": "half", "ended_at": "2026-11-06T15:00:00+00:00"}
    assert what_was_read("orders_by_id", facts) == "Orders by id: pages 1, rows 512, last cursor half."


def test_lists_are_told_in_the_order_of_the_reading_and_unknown_ones_last():
    names = ["window", "orders", "positions", "activities", "open_orders", "orders_by_id"]
    told = [name for name, _ in in_reading_order(dict.fromkeys(names))]
    assert told == ["open_orders", "orders", "activities", "positions", "orders_by_id", "window"]
