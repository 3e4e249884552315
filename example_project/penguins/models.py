"""The penguins, the rows that were refused, and what they come to."""

from django.db import models


class Penguin(models.Model):
    """One adult on one nest in one season."""

    individual = models.CharField(max_length=20)
    egg_laid_on = models.DateField()
    species = models.CharField(max_length=80)
    island = models.CharField(max_length=40)
    sex = models.CharField(max_length=6, choices=[("female", "female"), ("male", "male")])
    bill_length_mm = models.DecimalField(max_digits=4, decimal_places=1)
    bill_depth_mm = models.DecimalField(max_digits=4, decimal_places=1)
    flipper_length_mm = models.PositiveSmallIntegerField()
    body_mass_g = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["individual", "egg_laid_on", "species"], name="one_penguin_a_nest_and_season"
            )
        ]

    def __str__(self) -> str:
        return f"{self.individual} ({self.species})"


class RejectedRow(models.Model):
    """A row of a file that could not be imported, and why."""

    file = models.CharField(max_length=100)
    line = models.PositiveIntegerField()
    problems = models.JSONField()
    comment = models.CharField(max_length=200, blank=True, help_text="What the file itself says about it.")

    class Meta:
        ordering = ["file", "line"]
        constraints = [models.UniqueConstraint(fields=["file", "line"], name="one_rejection_a_line")]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class SpeciesSummary(models.Model):
    """The aggregate that the import ends with: one row for each species and island."""

    species = models.CharField(max_length=80)
    island = models.CharField(max_length=40)
    latitude = models.CharField(max_length=20)
    longitude = models.CharField(max_length=20)
    penguin_count = models.PositiveIntegerField()
    mean_body_mass_g = models.FloatField()
    mean_flipper_length_mm = models.FloatField()
    computed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["species", "island"]
        verbose_name_plural = "species summaries"
        constraints = [models.UniqueConstraint(fields=["species", "island"], name="one_summary_a_species_and_island")]

    def __str__(self) -> str:
        return f"{self.species}, {self.island}"
