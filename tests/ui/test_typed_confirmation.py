"""An act on many things needs their number, typed."""

import pytest

from ui.typed_confirmation import FIELD, asks_for_typed_count, is_count_typed


@pytest.fixture(autouse=True)
def _ten_are_few(settings):
    settings.TYPE_COUNT_ABOVE = 10


def test_the_limit_itself_asks_for_nothing():
    assert not asks_for_typed_count(10)
    assert asks_for_typed_count(11)
    assert is_count_typed({}, 10)


@pytest.mark.parametrize("typed", ["", "10", "12", "eleven", "1 1", "٣", "-11"])
def test_any_other_text_than_the_number_is_refused(typed):
    assert not is_count_typed({FIELD: typed}, 11)


def test_the_number_is_enough():
    assert is_count_typed({FIELD: " 11 "}, 11)
    assert not is_count_typed({}, 11)
