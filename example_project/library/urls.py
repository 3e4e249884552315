"""URLs of the pages that the example flows read."""

from django.urls import path

from example_project.library import views

app_name = "library"

urlpatterns = [
    path("", views.index, name="index"),
    path("texts/<slug:slug>/", views.text, name="text"),
    path("islands/<str:name>/", views.island, name="island"),
]
