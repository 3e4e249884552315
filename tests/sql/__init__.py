"""Tests of the SQL core, a folder a function; the listing reads as the specification."""
