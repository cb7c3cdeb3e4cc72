"""The table behind Django's cache: log-in limits and used codes count for all web processes together."""

from django.db import models


class SharedCacheRow(models.Model):
    """A row of `django.core.cache.backends.db`, which knows the names of the columns. Nothing else reads it."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "shared_cache"
        default_permissions = ()

    def __str__(self) -> str:
        return self.cache_key
