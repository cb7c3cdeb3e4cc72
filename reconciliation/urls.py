from django.urls import path

from reconciliation import run_views, views

app_name = "reconciliation"
urlpatterns = [
    path("", views.index, name="index"),
    path("start/", views.start, name="start"),
    path("approve/", views.approve, name="approve"),
    path("drifts/<int:drift_id>/ignore/", views.ignore, name="ignore"),
    path("runs/", run_views.runs, name="runs"),
    path("runs/<int:run_id>/", run_views.run, name="run"),
    path("runs/<int:run_id>/picture/", run_views.picture, name="picture"),
    path("fixes/<int:fix_id>/", views.fix, name="fix"),
    path("fixes/<int:fix_id>/undo/", views.undo, name="undo"),
]
