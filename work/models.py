"""Who is working on what: leases that one process at a time can hold, and signs of life."""

from django.db import models


class Lease(models.Model):
    """The right to do one named thing. Taken by conditional UPDATE; lost by time, or with its holder's process."""

    name = models.CharField(max_length=100, unique=True)
    holder = models.CharField(max_length=120, blank=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'free'} until {self.expires_at:%H:%M:%S}"


class Heartbeat(models.Model):
    """The last sign of life of one part of one cluster: its ticker, its workers, its results."""

    name = models.CharField(max_length=100)
    #: The worker command that keeps the cluster; another program that beats is named by itself.
    cluster = models.CharField(max_length=120, blank=True)
    at = models.DateTimeField()
    #: The process that beat last.
    holder = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["name", "cluster"], name="one_heartbeat_for_each_part"),)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class DroppedDelivery(models.Model):
    """A task over which one cluster after the other died, so that it is not delivered any more."""

    name = models.CharField(max_length=100)
    function = models.CharField(max_length=256, blank=True)
    at = models.DateTimeField(db_index=True)
    deaths = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"
