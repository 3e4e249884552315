"""Where a digest is approved."""

from django.contrib import admin

from example_project.publishing.models import Digest


@admin.register(Digest)
class DigestAdmin(admin.ModelAdmin):
    """Digests; ``approved`` can be ticked in the list."""

    list_display = ["title", "approved", "published_at"]
    list_editable = ["approved"]
    fields = ["title", "approved", "text", "published_at"]
    readonly_fields = ["text", "published_at"]
