"""A person names the view of a list and finds it again above that list."""

import pytest
from django.contrib.messages import get_messages

from bookmarks.models import SavedLink
from bookmarks.saving import MOST_LINKS

VIEW = "/positions/?status=open&sort=-total_risk&columns=qty&columns=total_risk"


@pytest.fixture
def reader(client, people):
    client.force_login(people.trader)
    return client


def save(client, address=VIEW, name="Most at risk"):
    return client.post("/saved-links/", {"address": address, "name": name})


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def test_a_saved_view_stands_above_its_list_and_no_other(reader):
    response = save(reader)
    assert response.url == VIEW
    assert "Saved as “Most at risk”" in said(response)
    text = reader.get("/positions/").content.decode()
    assert 'href="/positions/?status=open&amp;sort=-total_risk&amp;columns=qty&amp;columns=total_risk"' in text
    assert "Most at risk" not in reader.get("/orders/").content.decode()


def test_page_and_format_belong_to_the_moment(reader):
    save(reader, "/orders/?page=7&format=csv&status=&symbol=QCOM")
    assert SavedLink.objects.get().get_absolute_url() == "/orders/?symbol=QCOM"


def test_the_same_name_is_saved_anew(reader):
    save(reader)
    save(reader, "/positions/?side=short")
    assert SavedLink.objects.get().query == "side=short"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.test/positions/",
        "//example.test/positions/",
        "javascript:alert(1)",
        "/admin/",
        "/system/halt",
        "/orders/1/",
        "/nowhere/",
        "http://[",
        "",
        "/orders/?q=" + "x" * 2000,
    ],
)
def test_only_lists_of_this_site_are_saved(reader, address):
    response = save(reader, address)
    assert not SavedLink.objects.exists()
    assert "Nothing was saved." in said(response)
    assert response.url == "/"


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_is_asked_for(reader, name):
    response = save(reader, name=name)
    assert not SavedLink.objects.exists()
    assert response.url == VIEW


def test_there_is_an_end(reader, people):
    for number in range(MOST_LINKS):
        save(reader, name=f"View {number}")
    assert "the most" in said(save(reader, name="One more"))
    assert "Saved as" in said(save(reader, "/positions/?side=long", name="View 3"))
    assert SavedLink.objects.count() == MOST_LINKS


def test_everybody_has_their_own(reader, people, client):
    save(reader)
    link = SavedLink.objects.get()
    assert "Most at risk" in reader.get("/positions/").content.decode()  # and what was said of it
    client.force_login(people.ops)
    assert "Most at risk" not in client.get("/positions/").content.decode()
    assert client.post(f"/saved-links/{link.pk}/forget/").status_code == 404
    assert SavedLink.objects.exists()


def test_forgetting_returns_to_the_list(reader):
    save(reader)
    response = reader.post(f"/saved-links/{SavedLink.objects.get().pk}/forget/", {"address": "/positions/?side=long"})
    assert response.url == "/positions/?side=long"
    assert not SavedLink.objects.exists()


def test_names_are_no_markup(reader):
    save(reader, name="<b>bold</b>")
    text = reader.get("/positions/").content.decode()
    assert "&lt;b&gt;bold" in text
    assert "<b>bold" not in text


def test_both_need_a_post_and_somebody(reader, client):
    assert reader.get("/saved-links/").status_code == 405
    client.logout()
    assert "/accounts/login/" in save(client).url
