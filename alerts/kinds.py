"""What people are told about, and how grave each is. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from reconciliation.kinds import Severity

#: The gravest has the highest number.
RANK = {Severity.LOW: 0, Severity.MEDIUM: 1, Severity.HIGH: 2, Severity.CRITICAL: 3}


def is_at_least(severity: str, lowest: str) -> bool:
    return RANK[Severity(severity)] >= RANK[Severity(lowest)]


class AlertKind(StrEnum):
    DRIFT = "drift"
    UNCONFIRMED = "unconfirmed"
    INCOMPLETE = "incomplete"
    SILENT_BROKER = "silent_broker"
    STREAM = "stream"
    WORKER = "worker"
    DROPPED = "dropped"
    HALTED = "halted"
    APPROVAL = "approval"
    CROSSING = "crossing"
    BATCH = "batch"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """`severity` is None where the thing itself says how grave it is. An event is over when it is told.

    `events` are the endings of its keys that are events; one of them is "" where all are.
    """

    title: str
    severity: Severity | None
    about: str
    events: tuple[str, ...] = ()

    def is_event(self, key: str) -> bool:
        return any(key.endswith(ending) for ending in self.events)


ALERT_KINDS: dict[AlertKind, AlertFacts] = {
    AlertKind.DRIFT: AlertFacts("Drift", None, "A difference between database and Alpaca that two readings showed."),
    AlertKind.UNCONFIRMED: AlertFacts(
        "Order not confirmed", Severity.CRITICAL, "An order was sent, and for a minute nobody knows if Alpaca has it."
    ),
    AlertKind.INCOMPLETE: AlertFacts(
        "Reconciliation incomplete", Severity.HIGH, "Three runs in a row could not read everything."
    ),
    AlertKind.SILENT_BROKER: AlertFacts(
        "Alpaca cannot be read", Severity.HIGH, "The figures of an account have not been readable for minutes."
    ),
    AlertKind.STREAM: AlertFacts(
        "Stream down", Severity.HIGH, "An account's trade_updates were followed, and are not."
    ),
    AlertKind.WORKER: AlertFacts("Worker down", Severity.CRITICAL, "Nobody does the work, or one of several does not."),
    AlertKind.DROPPED: AlertFacts(
        "Task dropped", Severity.HIGH, "Workers died over a task until it was given up.", events=("",)
    ),
    AlertKind.HALTED: AlertFacts("Kill switch on", Severity.HIGH, "Sending is halted for an account."),
    AlertKind.APPROVAL: AlertFacts(
        "Approval waiting", Severity.MEDIUM, "A repair has waited for a person, or for the second one."
    ),
    AlertKind.CROSSING: AlertFacts(
        "Stop or target crossed", Severity.CRITICAL, "The price went through, and no order at Alpaca acts on it."
    ),
    AlertKind.BATCH: AlertFacts(
        "Batch halted or late", Severity.HIGH, "Orders that were to be sent were not.", events=(":halted",)
    ),
    AlertKind.CHANNEL: AlertFacts("Channel fails", Severity.MEDIUM, "Messages could not be delivered by a channel."),
}
