"""Ask for the next page while the last one is being worked on: the two take about as long as each other."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

from broker.answers import Answer

Parameters = dict[str, str]


class Ahead:
    """One GET at a time that is under way in a thread of its own, on a connection of its own.

    Whoever asks for something else than was begun, or stops asking, leaves the answer to be forgotten.
    """

    def __init__(self, get: Callable[[str, Parameters], Answer], path: str, has_room: Callable[[], bool]) -> None:
        self._get = get
        self._path = path
        self._has_room = has_room
        self._begun: tuple[Parameters, Future[Answer]] | None = None

    def begin(self, parameters: Parameters) -> bool:
        """Ask, unless the request would have to wait its turn: then nothing is begun."""
        if not self._has_room():
            return False
        answer: Future[Answer] = Future()
        self._begun = (parameters, answer)
        Thread(target=self._ask, args=(parameters, answer), name="ahead", daemon=True).start()
        return True

    def _ask(self, parameters: Parameters, answer: "Future[Answer]") -> None:
        try:
            answer.set_result(self._get(self._path, parameters))
        except BaseException as error:  # it is raised where the answer is wanted
            answer.set_exception(error)

    def take(self, parameters: Parameters) -> Answer | None:
        """Wait for the answer to this question, if it was begun, and raise what it raised. It is given once."""
        if self._begun is None:
            return None
        (asked, answer), self._begun = self._begun, None
        result: Any = answer.result()
        return result if asked == parameters else None
