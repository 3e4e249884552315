"""What is to be published."""

from django.db import models


class Digest(models.Model):
    """A text made of what the other flows found. Nobody sees it before it is approved."""

    title = models.CharField(max_length=200)
    approved = models.BooleanField(
        default=False, help_text="While this is not ticked, the step approval of publish_digest fails."
    )
    text = models.TextField(blank=True, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.title
