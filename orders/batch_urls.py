"""The addresses under /batches/; they belong to the namespace of orders.urls."""

from django.urls import path

from orders import batch_views as views

urlpatterns = [
    path("", views.batch_list, name="batches"),
    path("new/", views.upload, name="batch-upload"),
    path("confirm/", views.confirm, name="batch-confirm"),
    path("<int:batch_id>/", views.batch, name="batch"),
    path("<int:batch_id>/release/", views.release, name="batch-release"),
    path("<int:batch_id>/halt/", views.halt, name="batch-halt"),
    path("<int:batch_id>/unsent.csv", views.unsent_csv, name="batch-unsent-csv"),
    path("<int:batch_id>/unsent/", views.unsent, name="batch-unsent"),
]
