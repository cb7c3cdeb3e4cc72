from django.urls import include, path

from orders import views

app_name = "orders"
urlpatterns = [
    path("batches/", include("orders.batch_urls")),
    path("orders/", views.order_list, name="list"),
    path("orders/<int:order_id>/", views.order, name="order"),
]
