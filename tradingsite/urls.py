from django.contrib import admin
from django.urls import include, path

from reconciliation import insight_views, protection_views
from tradingsite import health, overview, pulse, system_views, views

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("", include("orders.urls")),
    path("positions/", include("positions.urls")),
    path("reconciliation/", include("reconciliation.urls")),
    path("protection/", protection_views.board, name="protection"),
    path("insight/", insight_views.insight, name="insight"),
    path("", include("alerts.urls")),
    path("audit/", include("audit.urls")),
    path("saved-links/", include("bookmarks.urls")),
    path("system/", system_views.system, name="system"),
    path("system/retry/<str:failure_id>", system_views.retry, name="retry"),
    path("system/halt", views.halt, name="halt"),
    path("system/resume", views.resume, name="resume"),
    path("strip/", views.strip, name="strip"),
    path("pulse/", pulse.pulse, name="pulse"),
    path("keyboard/", views.keyboard, name="keyboard"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("accounts/", include("signin.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
