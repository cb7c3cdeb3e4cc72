"""A null character in an address or a form: refused by every page alike, whatever the database makes of one."""

import pytest


@pytest.mark.parametrize(
    "address",
    [
        "/orders/?q=%00",
        "/orders/?symbol=A%00",
        "/orders/?order_type=%00&format=csv",
        "/positions/?symbol=%00",
        "/?%00=1",
        "/accounts/login/?next=%00",
    ],
)
def test_an_address_with_one_is_a_bad_request(client, people, address):
    client.force_login(people.trader)
    refused = client.get(address)
    assert refused.status_code == 400
    assert "could not be understood" in refused.content.decode()


def test_a_form_with_one_is_a_bad_request(client, people):
    assert client.post("/accounts/login/", {"username": "a\0", "password": "b"}).status_code == 400
    client.force_login(people.trader)
    assert client.get("/orders/?q=0").status_code == 200
