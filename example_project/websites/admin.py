"""Shows the reports."""

from django.contrib import admin

from example_project.websites.models import WebsiteReport


@admin.register(WebsiteReport)
class WebsiteReportAdmin(admin.ModelAdmin):
    """Reports, the newest first."""

    list_display = ["title", "mood", "word_count", "analyzed_at", "url"]
    search_fields = ["title", "url", "summary"]
    readonly_fields = ["analyzed_at"]
