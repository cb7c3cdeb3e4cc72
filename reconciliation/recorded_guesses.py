"""Load what is known of corrections that were guesses: which fills from before them came after them."""

from django.db.models import Count, Exists, OuterRef

from broker.models import Account
from orders.models import Fill
from positions.models import Adjustment

#: Fills from before the correction in question that nobody knew when it was made.
_CAME_LATER = Fill.objects.filter(
    account=OuterRef("account"),
    symbol=OuterRef("symbol"),
    recorded_at__gt=OuterRef("recorded_at"),
    transaction_time__lte=OuterRef("effective_at"),
)


def came_later(account: Account, symbols: set[str]) -> dict[str, tuple[str, ...]]:
    """For each guess in these symbols the fills from before it that nobody knew when it was made."""
    guesses = Adjustment.objects.filter(account=account, symbol__in=symbols, is_estimated=True)
    found = {}
    for guess in guesses:
        fills = Fill.objects.filter(
            account=account,
            symbol=guess.symbol,
            recorded_at__gt=guess.recorded_at,
            transaction_time__lte=guess.effective_at,
        )
        found[guess.reference] = tuple(fills.in_ledger_order().values_list("activity_id", flat=True))
    return found


def guessed_more_than_once(account: Account) -> frozenset[str]:
    """Symbols with two guesses or more of which at least one had fills coming later."""
    guesses = Adjustment.objects.filter(account=account, is_estimated=True).exclude(kind=Adjustment.Kind.AVERAGE)
    counted = guesses.order_by().values("symbol").annotate(guesses=Count("pk")).filter(guesses__gt=1)
    several = list(counted.values_list("symbol", flat=True))
    doubted = guesses.filter(Exists(_CAME_LATER), symbol__in=several) if several else guesses.none()
    return frozenset(doubted.order_by().values_list("symbol", flat=True))
