"""The version; the tag of a release is the same."""

__version__ = "0.1.0"
