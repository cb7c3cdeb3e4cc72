from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.urls import path

from tradingsite import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("strip/", views.strip, name="strip"),
    path("system/halt", views.halt, name="halt"),
    path("system/resume", views.resume, name="resume"),
    path("accounts/login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
