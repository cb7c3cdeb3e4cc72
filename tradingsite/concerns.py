"""What on an account wants a look now, beside open drift: said in sentences, with the way there."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from broker.models import Account
from orders.models import Order
from positions.crossing import in_words, open_crossings
from positions.models import Crossing
from positions.protecting import troubles
from reconciliation.models import Fix
from tradingsite.standing import NEAREST, Held


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should look at, as a sentence with a way there; `tone` is bad or warn."""

    tone: str
    text: str
    href: str


def concerns(account: Account, held: Held, now: datetime) -> list[Concern]:
    """What is wrong or at risk beside open drift, gravest first. A handful of queries, however much is held."""
    listed = reverse("positions:list")
    found = _crossings(account, listed) + _beyond_stop(account, held, listed) + _unprotected(account, now)
    if held.without_risk:
        text = _counted(held.without_risk, "open position has no stop: its risk is not known.",
                        "open positions have no stop: their risk is not known.")  # fmt: skip
        found.append(Concern("bad", text, f"{listed}?status=open&sort=stop_loss"))
    unconfirmed = Order.objects.filter(account=account).unconfirmed().count()
    if unconfirmed:
        text = _counted(unconfirmed, "order was sent and nobody knows yet whether Alpaca has it.",
                        "orders were sent and nobody knows yet whether Alpaca has them.")  # fmt: skip
        found.append(Concern("warn", text, reverse("orders:list") + "?submission_state=unconfirmed"))
    failed = Fix.objects.filter(account=account, state=Fix.State.FAILED, drifts__state="open").distinct().count()
    if failed:
        text = _counted(failed, "fix was applied, but the check after it does not agree.",
                        "fixes were applied, but the check after them does not agree.")  # fmt: skip
        found.append(Concern("bad", text, reverse("reconciliation:index")))
    if held.without_price:
        text = _counted(held.without_price, "open position has no price: its value is not in the sums.",
                        "open positions have no price: their values are not in the sums.")  # fmt: skip
        found.append(Concern("warn", text, f"{listed}?status=open&sort=last_price"))
    return found


def _crossings(account: Account, listed: str) -> list[Concern]:
    """What went through its stop or target, until a person acknowledges it."""
    crossings = open_crossings(account)
    found = [Concern("bad", in_words(row), row.position.get_absolute_url()) for row in crossings[:NEAREST]]
    if len(crossings) > NEAREST:
        text = f"{len(crossings)} stops and targets were crossed with no order at Alpaca to act on it."
        found.append(Concern("bad", text, f"{listed}?status=open&sort=stop_distance"))
    return found


def _unprotected(account: Account, now: datetime) -> list[Concern]:
    """What the account's plan cannot protect by itself."""
    found = [Concern("bad", text, row.get_absolute_url()) for row, text in troubles(account, now)]
    if len(found) > NEAREST:
        text = f"{len(found)} positions have exits that could not be placed: the plan of the account leaves them."
        found[NEAREST:] = [Concern("bad", text, reverse("protection"))]
    return found


def _beyond_stop(account: Account, held: Held, listed: str) -> list[Concern]:
    """What trades beyond its stop and was not told as a crossing: an order at Alpaca may be at it."""
    told = set(
        Crossing.objects.filter(account=account, level=Crossing.Level.STOP, position__in=held.nearest).values_list(
            "position_id", "level_price"
        )
    )
    beyond = [row for row in held.nearest[: held.beyond_stop] if (row.pk, row.stop_loss) not in told]
    found = [Concern("bad", f"{row.symbol} trades beyond its stop.", row.get_absolute_url()) for row in beyond]
    if held.beyond_stop > NEAREST:
        text = f"{held.beyond_stop} positions trade beyond their stops."
        found.append(Concern("bad", text, f"{listed}?status=open&sort=stop_distance"))
    return found


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
