"""URLs of the example project: the admin, and some pages for the flows to read."""

from django.contrib import admin
from django.urls import include, path

admin.site.site_header = "django-pgflow: example project"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("example_project.library.urls")),
]
