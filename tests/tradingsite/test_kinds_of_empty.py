"""Three kinds of empty on every list: nothing yet, nothing that matches, and what could not be loaded."""

import re

import pytest

from tests.factories import make_account

LISTS = {
    "/positions/": "symbol=NOPE",
    "/orders/": "symbol=NOPE",
    "/batches/": "q=nope",
    "/reconciliation/runs/": "state=drift",
    "/audit/": "actor=nobody",
}


@pytest.fixture
def reader(client, people):
    make_account("sim")
    client.force_login(people.ops)
    return client


@pytest.mark.parametrize("path", [*LISTS, "/reconciliation/", "/protection/", "/insight/"])
def test_nothing_yet_says_so_and_what_to_do(reader, path):
    text = reader.get(path).content.decode()
    assert 'data-empty="none"' in text
    assert 'data-empty="no-match"' not in text
    box = text.split('data-empty="none"')[1].split("</div>")[0]
    assert re.search(r"<strong>[^<]+</strong>\s*<p>[^<]+</p>", box), box


@pytest.mark.parametrize(("path", "query"), LISTS.items())
def test_nothing_that_matches_offers_to_clear_the_filters(reader, path, query):
    text = reader.get(f"{path}?{query}").content.decode()
    box = text.split('data-empty="no-match"')[1].split("</div>")[0]
    found = re.search(r'<a[^>]* href="([^"]*)"[^>]*>[^<]*Clear filters', box)
    assert found
    clear = found[1]
    assert 'data-empty="no-match"' not in reader.get(clear if clear.startswith("/") else path + clear).content.decode()


@pytest.mark.parametrize("path", LISTS)
def test_every_page_can_say_that_something_could_not_be_loaded(reader, path):
    text = reader.get(path).content.decode()
    assert 'id="could-not-load"' in text
    assert "Could not load." in text
