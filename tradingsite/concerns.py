"""What on an account wants a look now, beside open drift: said in sentences, with the way there."""

from dataclasses import dataclass

from django.urls import reverse

from broker.models import Account
from orders.models import Order
from reconciliation.models import Fix
from tradingsite.standing import NEAREST, Held


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that a person should look at, as a sentence with a way there; `tone` is bad or warn."""

    tone: str
    text: str
    href: str


def concerns(account: Account, held: Held) -> list[Concern]:
    """What is wrong or at risk beside open drift, gravest first. Two queries."""
    listed = reverse("positions:list")
    found = [
        Concern("bad", f"{row.symbol} trades beyond its stop.", row.get_absolute_url())
        for row in held.nearest[: held.beyond_stop]
    ]
    if held.beyond_stop > NEAREST:
        found.append(Concern("bad", f"{held.beyond_stop} positions trade beyond their stops.", listed))
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


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
