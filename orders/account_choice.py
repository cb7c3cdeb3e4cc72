"""Which account a page is about: the one named by ?account=, remembered in the session, else the default."""

from django.http import HttpRequest

from broker.accounts import default_account
from broker.models import Account

SESSION_KEY = "account"
_META_KEY = "trading.account"


def chosen_account(request: HttpRequest) -> Account:
    """Return the account of this request, looked up once. An unknown name changes nothing."""
    account: Account | None = request.META.get(_META_KEY)
    if account is None:
        account = _look_up(request)
        request.META[_META_KEY] = account
    return account


def _look_up(request: HttpRequest) -> Account:
    asked = request.GET.get("account", "")
    remembered = request.session.get(SESSION_KEY, "")
    known = {account.slug: account for account in Account.objects.active().filter(slug__in=[asked, remembered])}
    if asked in known:
        if asked != remembered:
            request.session[SESSION_KEY] = asked
        return known[asked]
    return known.get(remembered) or default_account()
