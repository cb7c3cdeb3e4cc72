from django.urls import include, path

from orders import again_views, views

app_name = "orders"
urlpatterns = [
    path("batches/", include("orders.batch_urls")),
    path("orders/", views.order_list, name="list"),
    path("orders/<int:order_id>/", views.order, name="order"),
    path("orders/<int:order_id>/again/", again_views.again, name="order-again"),
]
