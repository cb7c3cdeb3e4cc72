"""Four machines on one PostgreSQL: the story is told once, and the tests look at what is left of it."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

import pytest

from orders.sending import LEASE_SECONDS
from tests.hosts.machines import Machine
from tests.hosts.site import ACCOUNTS, Host, Site
from tests.hosts.story import GOES_ON_WITHIN, SETTINGS, Story, clock_of, tell
from tests.simulation import SimAccount, Simulator
from tests.tradingsite.stores import postgresql

pytestmark = pytest.mark.postgresql
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def story(four_machines: list[Machine], simulator: Simulator, tmp_path_factory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("hosts")
    with postgresql(folder / "postgresql", networks=[m.subnet for m in four_machines if m.subnet]) as database:
        site = Site(database, simulator, folder, **SETTINGS)
        site.set_up()
        story = Story(site, {m.name: Host(site, m, **clock_of(m.name)) for m in four_machines})
        try:
            tell(story)
            yield story
        finally:
            for account in site.accounts.values():
                account.reset()
            for machine in four_machines:
                machine.kill()


def test_work_goes_on_within_the_lease_time(story: Story) -> None:
    assert story.claimed["bert"]
    assert story.claimed["cleo"]
    assert len(story.taken_over) >= 2
    assert max(story.taken_over.values()) < GOES_ON_WITHIN
    assert story.sent_meanwhile < GOES_ON_WITHIN


def test_a_connection_over_a_dead_line_is_given_up_on_both_sides(story: Story) -> None:
    """Real lines are needed: where the machines are no namespaces, the socket's options are in test_common_ground."""
    if story.sitters:
        log.info("given up after %s s, by the server %s s", story.sitters.gave_up_after, story.sitters.lock_freed_after)
        assert story.sitters.gave_up_after < LEASE_SECONDS
        assert 0 < story.sitters.lock_freed_after < LEASE_SECONDS + 3


def test_nothing_is_lost_and_nothing_doubled(story: Story) -> None:
    """Counted at Alpaca."""
    of_account = "JOIN broker_account a ON a.id = o.account_id WHERE a.slug = ?"
    for slug, account in story.site.accounts.items():
        orders = story.site.query(f"SELECT o.client_order_id, o.qty FROM orders_order o {of_account}", slug)
        fills = story.site.query(
            f"SELECT o.client_order_id, f.qty FROM orders_fill f JOIN orders_order o ON o.id = f.order_id {of_account}",
            slug,
        )
        found = _orders_at(account)
        recorded = {name: Decimal(qty) for name, qty in orders}
        assert len(found) == len(set(found)) == len(recorded)
        assert dict(found) == recorded
        booked: dict[str, Decimal] = defaultdict(Decimal)
        for name, qty in fills:
            booked[name] += Decimal(qty)
        assert booked == recorded
    assert story.site.number("SELECT count(*) FROM orders_order WHERE submission_state <> 'confirmed'") == 0


def _orders_at(account: SimAccount) -> list[tuple[str, Decimal]]:
    rows = account.api("GET", "/v2/orders", params={"status": "all", "limit": 500})
    assert len(rows) < 500
    return [(row["client_order_id"], Decimal(row["filled_qty"])) for row in rows]


def test_every_account_is_in_sync(story: Story) -> None:
    sql = "SELECT a.slug, r.state FROM reconciliation_run r JOIN broker_account a ON a.id = r.account_id "
    last = dict(story.site.query(sql + "WHERE r.state NOT IN ('queued', 'running') ORDER BY r.id"))
    assert last == dict.fromkeys(ACCOUNTS, "in_sync")
    assert story.site.query("SELECT kind, symbol, sentence FROM reconciliation_drift WHERE state = 'open'") == []


def test_the_hosts_that_nothing_happened_to_have_nothing_to_complain_of(story: Story) -> None:
    for name in ("anna", "dora"):
        printed = story.hosts[name].printed()
        assert "Traceback" not in printed, printed
        assert " ERROR " not in printed, printed
