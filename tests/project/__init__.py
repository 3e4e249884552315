"""Tests of the example project, of the demo, and of the package as users get it."""
