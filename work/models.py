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
    """The last sign of life of one part: a worker cluster's task loop, the ticker, the stream."""

    name = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField()
    holder = models.CharField(max_length=120, blank=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
