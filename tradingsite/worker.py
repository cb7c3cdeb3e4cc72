"""The worker: one django-q2 cluster as a child, a ticker and a watchdog beside it."""

import sys
import time

from django.conf import settings
from django.db import Error as DatabaseError
from django.utils import timezone

from tradingsite.cluster_signs import ENVIRONMENT_NAME, SignPipe
from tradingsite.deliveries import give_back
from tradingsite.processes import Program, Supervisor, say
from tradingsite.ticker import Ticker
from tradingsite.watchdog import Watchdog
from work import clusters
from work.clusters import queue_of, this_cluster
from work.heartbeat import withdraw

CLUSTER = "queue"
LOOK_SECONDS = 0.25
#: Long enough for a POST under way to be answered; what runs longer is taken up again by the next start.
GRACE_SECONDS = 10.0
#: Between one cluster's death and the next one's start: work goes on within 30 s, whatever was killed how often.
LONGEST_PAUSE_SECONDS = 8.0


def run_worker(*, supervisor: Supervisor, ticker: Ticker) -> None:
    """Work until a signal comes. `supervisor` is entered; its thread is the main thread."""
    signs = SignPipe()
    watchdog = Watchdog(workers=settings.Q_CLUSTER["workers"], task_timeout=settings.Q_CLUSTER["timeout"])
    cluster = supervisor.start(_cluster_program(signs.write_end))
    ticker.cluster_died()  # whatever an earlier one had in hand when it ended
    ticker.start()
    looked_at = 0.0

    def look() -> None:
        nonlocal looked_at
        now = time.monotonic()
        if now - looked_at < LOOK_SECONDS:
            return
        looked_at = now
        if cluster.pid is not None and not watchdog.watches(cluster.pid):
            watchdog.watch(cluster.pid, at=now)
            ticker.cluster_died()
        complaint = watchdog.complaint(ticker.pulse, read_signs=signs.read)
        if watchdog.has_worked:
            supervisor.note_well(CLUSTER)
        if complaint and cluster.pid is not None:
            supervisor.replace(CLUSTER, complaint)
            watchdog.watch(None, at=now)

    try:
        supervisor.run(each_step=look)
    finally:
        ticker.stop()
        supervisor.stop()
        signs.close()
        _say_good_bye()


def _say_good_bye() -> None:
    """After the last of the cluster has left: what it could not finish is others', and nobody misses its signs."""
    try:
        give_back(queue_of(this_cluster()), now=timezone.now())
        withdraw(this_cluster())
    except DatabaseError as error:
        say(f"the worker's signs of life could not be withdrawn, so it will be missed for a while: {error}")


def _cluster_program(signs: int) -> Program:
    return Program(
        name=CLUSTER,
        command=[sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster"],
        environment={
            ENVIRONMENT_NAME: str(signs),
            clusters.ENVIRONMENT_NAME: this_cluster(),
            "DATA_DIR": str(settings.DATA_DIR),
            # numpy's library would start threads when it is imported, and they do not survive the forks.
            "OPENBLAS_NUM_THREADS": "1",
        },
        prefix=False,
        grace=GRACE_SECONDS,
        longest_delay=LONGEST_PAUSE_SECONDS,
        pass_fds=(signs,),
    )
