"""What became of the pages."""

from django.db import models


class WebsiteReport(models.Model):
    """What the flow ``analyze_website`` found on a page, last time it looked."""

    url = models.URLField("URL", unique=True, max_length=500)
    title = models.CharField(max_length=300)
    word_count = models.PositiveIntegerField()
    mood = models.FloatField(help_text="From -1 (all bad) to 1 (all good).")
    summary = models.TextField()
    analyzed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-analyzed_at"]

    def __str__(self) -> str:
        return self.title or self.url
