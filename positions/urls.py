from django.urls import path

from positions import cash_views, crossing_views, position_views, views

app_name = "positions"
urlpatterns = [
    path("", views.position_list, name="list"),
    path("cash/", cash_views.cash, name="cash"),
    path("<int:position_id>/", position_views.position, name="position"),
    path("<int:position_id>/history/", position_views.history, name="history"),
    path("<int:position_id>/chart/", position_views.chart, name="chart"),
    path("<int:position_id>/what-if/", position_views.what_if, name="what_if"),
    path("crossings/<int:crossing_id>/acknowledge/", crossing_views.acknowledge, name="acknowledge_crossing"),
]
