"""What happens to four machines: one loses its power, one its line to the database, the others go on.

Two web servers and four workers send and reconcile for three accounts at once; two of the clocks are wrong by a second
and a half.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from orders.sending import LEASE_SECONDS
from tests.hosts.machines import can_be_namespaces
from tests.hosts.site import ACCOUNTS, Host, Site
from tests.hosts.sitters import Sitters
from tests.tradingsite.waiting import wait_for

log = logging.getLogger(__name__)

SYMBOLS = ("F", "KO", "BMY", "QCOM", "AAPL", "MSFT")
LINES_OF_A_BATCH = 12
#: Longer than any lease of an execution, and than both ends take to give the connection up.
CUT_FOR_SECONDS = 18.0
#: A claim and the proof of absence as short as is safe, and no typing of numbers.
SETTINGS = {"CLAIM_LEASE_SECONDS": "15", "NOT_PLACED_AFTER_SECONDS": "8", "TYPE_COUNT_ABOVE": "1000"}
#: How far the clocks are ahead of the database's. More than 2 s a run calls a difference, with more than 5 s no program
#: starts.
CLOCKS = {"cleo": 1.5, "dora": -1.5}
#: A lease that was noted by a fast clock, a look at the rows, and the wait for a free worker, which takes seconds
#: on a computer that is busy with other tests. Idle, the whole takes 12 to 17 s.
GOES_ON_WITHIN = LEASE_SECONDS + max(CLOCKS.values()) + 10


@dataclass
class Story:
    site: Site
    hosts: dict[str, Host]
    batches: dict[int, str] = field(default_factory=dict)
    broken_at: float = 0.0
    #: Executions → the failed host that has them, and the seconds until another one had them or had settled them.
    in_failed_hands: dict[str, Host] = field(default_factory=dict)
    taken_over: dict[str, float] = field(default_factory=dict)
    #: Orders that were claimed by a host when that failed.
    claimed: dict[str, list[str]] = field(default_factory=dict)
    sent_meanwhile: float = 0.0
    sitters: Sitters | None = None

    def submit(self, via: Sequence[str], account: str, lines: int) -> int:
        """Preview at the first web server, confirm at the last."""
        number = len(self.batches) + 1
        rows = [f"{SYMBOLS[line % len(SYMBOLS)]},buy,{number + line}" for line in range(lines)]
        previewed = self.hosts[via[0]].web.upload(account, rows)
        batch = self.hosts[via[-1]].web.confirm(account, previewed)
        self.batches[batch] = account
        return batch

    def unfinished(self) -> list[int]:
        sql = "SELECT b.id FROM orders_batch b WHERE b.state <> 'finished' OR EXISTS "
        sql += "(SELECT 1 FROM orders_order o WHERE o.batch_id = b.id AND NOT o.is_booked)"
        return [pk for (pk,) in self.site.query(sql)]

    def unsent(self) -> set[int]:
        sql = "SELECT DISTINCT batch_id FROM orders_order WHERE submission_state <> 'confirmed'"
        return {pk for (pk,) in self.site.query(sql)}

    def await_end(self, within: float) -> None:
        try:
            wait_for(lambda: not self.unfinished(), within=within, what="the end of all batches")
        except AssertionError as error:
            sql = "SELECT batch_id, submission_state, status, count(*) FROM orders_order GROUP BY 1, 2, 3"
            raise AssertionError(f"{error}: {self.unfinished()}, {self.site.query(sql)}\n{self.printed()}") from None

    def printed(self) -> str:
        return "\n".join(f"--- {host.name}\n{host.printed()[-6000:]}" for host in self.hosts.values())


def clock_of(name: str) -> dict[str, str]:
    return {"HOST_CLOCK_OFFSET": str(CLOCKS.get(name, 0))}


def tell(story: Story) -> None:
    hosts = story.hosts
    _begin(story)
    if can_be_namespaces():  # only a real cable leaves a connection in the dark
        story.sitters = Sitters(hosts["cleo"])
    _hold_up_answers(story, 1.5)
    for number, account in enumerate(ACCOUNTS * 2):
        story.submit(("anna", "bert")[:: 1 if number % 2 else -1], account, LINES_OF_A_BATCH)
    both = hosts["bert"], hosts["cleo"]
    _wait_until_in_hand(story, both)
    _break(story, *both)
    _hold_up_answers(story, 0)
    for account in ACCOUNTS:
        hosts["anna"].web.reconcile(account)
    _work_meanwhile(story)
    story.await_end(90)
    _let_cleo_work_again(story)
    story.await_end(60)
    _reconcile(story)


def _begin(story: Story) -> None:
    """Two at a time: on a small computer all at once would be slower than their watchdogs bear."""
    hosts = story.hosts
    for pair in (("anna", "bert"), ("cleo", "dora")):
        for name in pair:
            hosts[name].start("worker")
        _await_workers(story, set(pair))
    for name in ("anna", "bert"):
        hosts[name].start_web()
    hosts["anna"].web.log_in()
    hosts["bert"].web.share_session(hosts["anna"].web)


def _await_workers(story: Story, names: set[str]) -> None:
    def all_work() -> bool:
        beats = story.site.query("SELECT holder FROM work_heartbeat WHERE name = ?", "worker")
        return names <= {holder.partition(":")[0] for (holder,) in beats}

    try:
        wait_for(all_work, within=90, what=f"the workers of {names}")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{story.printed()}") from None


def _hold_up_answers(story: Story, seconds: float) -> None:
    """Alpaca has the order, and answers later."""
    for account in story.site.accounts.values():
        account.clear_faults()
    if seconds:
        for account in story.site.accounts.values():
            account.fault("delay_answer", "POST", "/v2/orders", times=None, seconds=seconds)


def _wait_until_in_hand(story: Story, hosts: Sequence[Host]) -> None:
    """Until each of them is just sending orders. Which host gets which batch nobody knows."""

    def in_hand() -> bool:
        if all(host.claims() for host in hosts):
            return True
        if len(story.unfinished()) < len(ACCOUNTS):
            story.submit(("bert", "anna"), ACCOUNTS[len(story.batches) % len(ACCOUNTS)], LINES_OF_A_BATCH)
        return False

    wait_for(in_hand, within=90, what="orders in the hands of both hosts")


def _break(story: Story, dead: Host, cut_off: Host) -> None:
    cut_off.machine.cut()
    if story.sitters:
        story.sitters.note_cut()
    dead.machine.kill()
    story.broken_at = time.monotonic()
    story.claimed = {host.name: host.claims() for host in (dead, cut_off)}
    story.in_failed_hands = {name: host for host in (dead, cut_off) for name in host.executions()}


def _note_taken_over(story: Story) -> None:
    for lease, host in list(story.in_failed_hands.items()):
        if lease not in host.executions():
            story.taken_over[lease] = round(time.monotonic() - story.broken_at, 1)
            del story.in_failed_hands[lease]


def _work_meanwhile(story: Story) -> None:
    """While one host is dead and one cut off: new batches go through, and the old ones are taken over."""
    began = time.monotonic()
    waiting = {story.submit(["anna"], account, 3) for account in ACCOUNTS}
    mend_at, is_cut = story.broken_at + CUT_FOR_SECONDS, True
    while is_cut or waiting or story.in_failed_hands:
        _note_taken_over(story)
        if waiting and not waiting & story.unsent():
            waiting.clear()
            story.sent_meanwhile = round(time.monotonic() - began, 1)
        if story.sitters:
            story.sitters.look()
        if is_cut and time.monotonic() > mend_at:
            story.hosts["cleo"].machine.mend()
            is_cut = False
        assert time.monotonic() < mend_at + 60, f"{waiting} {story.in_failed_hands}\n{story.printed()}"
        time.sleep(0.1)
    log.info("taken over after %s s, new batches sent in %s s", story.taken_over, story.sent_meanwhile)


def _let_cleo_work_again(story: Story) -> None:
    """A heartbeat goes all the way through its cluster; then there is work for all."""
    # By its own clock.
    mended = story.site.query("SELECT now()")[0][0] + timedelta(seconds=CLOCKS["cleo"])
    sql = "SELECT count(*) FROM work_heartbeat WHERE name = ? AND holder LIKE ? AND at > ?"
    began = time.monotonic()
    wait_for(
        lambda: story.site.number(sql, "worker", "cleo:%", mended) > 0,
        within=90,
        what="work by the host that was cut off",
    )
    log.info("the host that was cut off works again %.1f s later", time.monotonic() - began)
    for account in ACCOUNTS:
        story.submit(["anna"], account, 3)


def _reconcile(story: Story) -> None:
    newest = story.site.number("SELECT coalesce(max(id), 0) FROM reconciliation_run")
    sql = "SELECT a.slug, r.state FROM reconciliation_run r JOIN broker_account a ON a.id = r.account_id WHERE r.id > ?"

    def all_ended() -> bool:
        for account in ACCOUNTS:
            if not any(slug == account for slug, _state in story.site.query(sql, newest)):
                story.hosts["anna"].web.reconcile(account)
        ended = [state not in {"queued", "running"} for _slug, state in story.site.query(sql, newest)]
        return len(ended) >= len(ACCOUNTS) and all(ended)

    wait_for(all_ended, within=60, what="a run of every account")
