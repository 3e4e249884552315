"""What becomes of errors on their way to the database."""

from __future__ import annotations

from django_pgflow.worker import task


def test_error_text_begins_with_the_class():
    assert task.error_text(ValueError("no such customer")) == "ValueError: no such customer"
    assert task.error_text(KeyError()) == "KeyError"


def test_error_text_can_be_stored():
    assert task.error_text(ValueError("a\x00b\ud800c")) == "ValueError: ab?c"


def test_error_text_is_bounded():
    text = task.error_text(ValueError("x" * 20_000))
    assert len(text) == task.ERROR_LIMIT
    assert text.endswith("…")


def test_an_error_that_cannot_be_printed_is_named():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert task.error_text(Mute()) == "Mute: (its message could not be read: RuntimeError)"
