"""Signs of life: one row for each part of each cluster, so that a silent one beside a living one is seen."""

import socket
from datetime import datetime, timedelta

from work.clusters import this_cluster
from work.holders import is_gone, local_pid, this_process
from work.models import Heartbeat

#: The ticker beats every three seconds. Who is silent for so long is taken for dead: others take its deliveries over.
SILENT_AFTER = timedelta(seconds=60)
#: A process that has been silent for so long was taken out of service.
FORGOTTEN_AFTER = timedelta(days=1)


def beat(name: str, *, now: datetime) -> None:
    """Give a sign of this process, for the cluster in which it runs."""
    Heartbeat.objects.update_or_create(
        name=name, cluster=this_cluster(), defaults={"at": now, "holder": this_process()}
    )


def last_beat(name: str, *, cluster: str | None = None) -> datetime | None:
    """Return the newest sign of a part, in one cluster or in any."""
    mine = Heartbeat.objects.filter(name=name)
    mine = mine if cluster is None else mine.filter(cluster=cluster)
    return mine.order_by("-at").values_list("at", flat=True).first()


def living_clusters(now: datetime) -> set[str]:
    """Return the clusters whose ticker was heard of lately and has not certainly ended since."""
    heard = Heartbeat.objects.filter(name="ticker", at__gt=now - SILENT_AFTER).values_list("cluster", flat=True)
    return {cluster for cluster in heard if not is_gone(cluster)}


def withdraw(cluster: str) -> None:
    """At an orderly stop: nobody need look for it."""
    Heartbeat.objects.filter(cluster=cluster).delete()


def forget_old(now: datetime) -> None:
    Heartbeat.objects.filter(at__lt=now - FORGOTTEN_AFTER).delete()


def forget_ended_here() -> None:
    """At a start on this host: what ran here before and was killed has its successor.

    Of the same host name, but of a system that is not this one: it was started anew since. If it is a namesake of ours
    that lives, its next beat is three seconds away.
    """
    for cluster in set(Heartbeat.objects.values_list("cluster", flat=True)):
        is_from_here = cluster.rsplit(":", 2)[0] == socket.gethostname()
        if not cluster or is_gone(cluster) or (is_from_here and local_pid(cluster) is None):
            withdraw(cluster)
