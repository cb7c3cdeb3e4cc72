from django.urls import path

from reconciliation import broker_views, care_views, entered_views, rebind_views, run_views, views

app_name = "reconciliation"
urlpatterns = [
    path("", views.index, name="index"),
    path("start/", views.start, name="start"),
    path("approve/", views.approve, name="approve"),
    path("drifts/<int:drift_id>/rebind/", rebind_views.rebind, name="rebind"),
    path("drifts/<int:drift_id>/enter/", entered_views.enter, name="enter"),
    path("drifts/<int:drift_id>/ignore/", care_views.ignore, name="ignore"),
    path("drifts/<int:drift_id>/unignore/", care_views.unignore, name="unignore"),
    path("drifts/<int:drift_id>/assign/", care_views.assign, name="assign"),
    path("drifts/<int:drift_id>/comment/", care_views.comment, name="comment"),
    path("runs/", run_views.runs, name="runs"),
    path("runs/<int:run_id>/", run_views.run, name="run"),
    path("runs/<int:run_id>/picture/", run_views.picture, name="picture"),
    path("kinds/", run_views.kinds, name="kinds"),
    path("fixes/<int:fix_id>/", views.fix, name="fix"),
    path("fixes/<int:fix_id>/undo/", views.undo, name="undo"),
    path("fixes/<int:fix_id>/act/", broker_views.act, name="act"),
    path("fixes/<int:fix_id>/opposite/", broker_views.opposite, name="opposite"),
]
