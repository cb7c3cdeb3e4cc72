"""A server that is slow to answer is waited for; how slow it is, is measured. Told by counts, not by the clock."""

import time

import pytest

from broker import stream_patience
from broker.stream import Opened
from broker.stream_patience import Patience
from tests.broker.test_stream import Server, heard, impatient  # noqa: F401  # fixtures
from tests.simulation import wait_for


class Slow(Server):
    """Answers its first question at once, and every other after a while: the computer became busy."""

    answers_after, answered = 0.8, 0
    listens: dict[int, int]

    def _serve(self, socket):
        mine, send = self.connections + 1, socket.send
        if not hasattr(self, "listens"):
            self.listens = {}
        self.listens[mine] = 0

        def slowly(text):
            if b"listening" in text:
                self.listens[mine] += 1
                if self.listens[mine] > 1:
                    self.answered += 1
                    time.sleep(self.answers_after if self.answered > 1 else 0)
            send(text)

        socket.send = slowly
        super()._serve(socket)


@pytest.fixture
def server():
    made = Slow()
    yield made
    made.server.shutdown()
    made.thread.join(timeout=5)


@pytest.mark.usefixtures("impatient")
def test_a_slow_server_is_left_a_few_times_and_then_kept(server, heard):  # noqa: F811
    """It answers within 0.8 s; 0.3 s are given at first: twice as long each time, until an answer was measured."""
    assert isinstance(heard.next(), Opened)
    wait_for(lambda: max(server.listens.values()) >= 6, "five answers to questions on one connection", seconds=40)
    assert server.connections <= 4


def test_patience_follows_what_was_measured() -> None:
    patience = Patience()
    assert patience.within(5) == 5
    patience.answered(0.2)
    assert patience.within(5) == 5
    patience.answered(3)
    assert patience.within(5) == 12
    for _ in range(8):
        patience.answered(0.1)
    assert patience.within(5) == 5


def test_patience_doubles_in_vain_and_is_bounded() -> None:
    patience = Patience()
    given = []
    for _ in range(6):
        given.append(patience.within(5))
        patience.was_in_vain()
    assert given == [5, 10, 20, 40, stream_patience.LONGEST, stream_patience.LONGEST]
    patience.took(1)  # shaking hands is measured, and is no answer to a question
    assert patience.within(5) == stream_patience.LONGEST
    patience.answered(1)
    assert patience.within(5) == 5
