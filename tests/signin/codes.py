"""What a person's app for codes does: reckon a code from the secret and the time, written down here a second time."""

import base64
import hashlib
import hmac
import re
import struct
import time

from django.test import Client

from tests.conftest import PASSWORD


def code_for(secret: str, at: float | None = None) -> str:
    counter = struct.pack(">Q", int(time.time() if at is None else at) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def log_in(client: Client, name: str, password: str = PASSWORD, **more):
    return client.post("/accounts/login/", {"username": name, "password": password}, **more)


def set_up_codes(client: Client, password: str = PASSWORD) -> str:
    """Set up an app for codes as a person does, at the pages. Return the secret."""
    client.post("/accounts/confirm/?next=/accounts/codes/", {"password": password})
    page = client.get("/accounts/codes/").content.decode()
    found = re.search(r'<code class="mono">([A-Z2-7]+)</code>', page)
    assert found, page
    # The code of a step before: a later one in the same half minute is then still unused.
    answer = client.post("/accounts/codes/", {"code": code_for(found[1], time.time() - 30)})
    assert answer.status_code == 302, answer.content.decode()
    return found[1]


def second_step(client: Client, code: str):
    return client.post("/accounts/login/second-factor/", {"code": code})


def log_in_with_code(name: str, secret: str) -> Client:
    client = Client()
    assert log_in(client, name)["Location"] == "/accounts/login/second-factor/"
    assert second_step(client, code_for(secret)).status_code == 302
    return client
