"""What becomes of errors on their way to the database."""

from __future__ import annotations

import pytest

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


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


def test_the_class_can_be_imported():
    from django.utils.module_loading import import_string

    assert import_string(task.class_path(ValueError)) is ValueError
    assert task.class_path(ValueError) == "builtins.ValueError"


def test_a_traceback_can_be_stored_and_keeps_its_end():
    text = task.traceback_text(raised(ValueError("a\x00b\ud800" + "x" * 200_000 + "the end")))
    assert len(text) <= task.TRACEBACK_LIMIT
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith("the end\n")
    assert not {"\x00", "\ud800"} & set(text)


def test_a_traceback_of_endless_recursion_is_short():
    def again():
        again()

    with pytest.raises(RecursionError) as caught:
        again()
    assert len(task.traceback_text(caught.value)) < 10_000


def test_an_error_without_a_traceback_has_its_last_line():
    assert task.traceback_text(ValueError("x")) == "ValueError: x\n"


def test_an_error_that_cannot_be_printed_has_a_traceback():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Mute" in task.traceback_text(raised(Mute()))
