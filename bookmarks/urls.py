from django.urls import path

from bookmarks import views

app_name = "bookmarks"
urlpatterns = [
    path("", views.save, name="save"),
    path("<int:link_id>/forget/", views.forget, name="forget"),
]
