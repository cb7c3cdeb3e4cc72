"""Views of lists that a person named, to find them again."""

from django.conf import settings
from django.db import models


class SavedLink(models.Model):
    """The address of a list as one person wants it again: filters, sort and columns."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_links")
    path = models.CharField(max_length=100)
    query = models.CharField(max_length=1000, blank=True)
    name = models.CharField(max_length=60)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("name", "id")
        constraints = (models.UniqueConstraint(fields=["user", "path", "name"], name="saved_link_name_once"),)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path
