from django.urls import path

from alerts import report_views, views

app_name = "alerts"
urlpatterns = [
    path("alerts/", views.alert_list, name="list"),
    path("alerts/deliveries/", views.delivery_list, name="deliveries"),
    path("reports/", report_views.report_list, name="reports"),
    path("reports/<int:report_id>/", report_views.report, name="report"),
]
