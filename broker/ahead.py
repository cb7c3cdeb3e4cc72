"""Ask for the next page, and read it, while the last one is being worked on: both take about as long."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

from broker.answers import Answer
from broker.errors import UnreadableAnswer

Parameters = dict[str, str]
#: Makes values of a body; raises UnreadableAnswer.
Read = Callable[[bytes], Any]


class Ahead:
    """One GET at a time that is under way in a thread of its own, on a connection of its own.

    Whoever asks for something else than was begun, or stops asking, leaves the answer to be forgotten.
    """

    def __init__(
        self, get: Callable[[str, Parameters], Answer], path: str, has_room: Callable[[], bool], read: Read
    ) -> None:
        self._get = get
        self._path = path
        self._has_room = has_room
        self._read = read
        self._begun: tuple[Parameters, Future[tuple[Answer, Any]]] | None = None
        self._was_read: tuple[Answer, Any] | None = None

    def begin(self, parameters: Parameters) -> bool:
        """Ask, unless the request would have to wait its turn: then nothing is begun."""
        if not self._has_room():
            return False
        answer: Future[tuple[Answer, Any]] = Future()
        self._begun = (parameters, answer)
        Thread(target=self._ask, args=(parameters, answer), name="ahead", daemon=True).start()
        return True

    def _ask(self, parameters: Parameters, answer: "Future[tuple[Answer, Any]]") -> None:
        try:
            found = self._get(self._path, parameters)
            answer.set_result((found, self._values(found)))
        except BaseException as error:  # it is raised where the answer is wanted
            answer.set_exception(error)

    def take(self, parameters: Parameters) -> Answer | None:
        """Wait for the answer to this question, if it was begun, and raise what it raised. It is given once."""
        if self._begun is None:
            return None
        (asked, answer), self._begun = self._begun, None
        self._was_read = answer.result() if asked == parameters else None
        return self._was_read[0] if self._was_read else None

    def values(self, answer: Answer) -> Any:
        """Return what an answer says, which was mostly read already. Raises UnreadableAnswer."""
        was_read, self._was_read = self._was_read, None
        if was_read and was_read[0] is answer and was_read[1] is not None:
            return was_read[1]
        return self._read(answer.body)

    def _values(self, answer: Answer) -> Any:
        """None where it must be judged by whoever takes it."""
        try:
            return self._read(answer.body) if answer.is_success else None
        except UnreadableAnswer:
            return None
