"""Shows what was imported."""

from django.contrib import admin

from example_project.penguins.models import Penguin, RejectedRow, SpeciesSummary


@admin.register(Penguin)
class PenguinAdmin(admin.ModelAdmin):
    """Imported rows."""

    list_display = ["individual", "species", "island", "sex", "egg_laid_on", "body_mass_g", "flipper_length_mm"]
    list_filter = ["species", "island", "sex"]
    search_fields = ["individual"]


@admin.register(RejectedRow)
class RejectedRowAdmin(admin.ModelAdmin):
    """Refused rows."""

    list_display = ["__str__", "problems", "comment"]


@admin.register(SpeciesSummary)
class SpeciesSummaryAdmin(admin.ModelAdmin):
    """The aggregate."""

    list_display = [
        "species",
        "island",
        "latitude",
        "longitude",
        "penguin_count",
        "mean_body_mass_g",
        "mean_flipper_length_mm",
        "computed_at",
    ]
