"""Values to JSON text and back: what a run takes and what a step returns."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from django.db.models import Manager, Model, QuerySet

from django_pgflow import conf, exceptions
from django_pgflow.dsl import slugs

LONG_NUMBER = b"0" * 19
ALL_ZERO = bytes.maketrans(b"123456789", b"000000000")

ERRORS = (TypeError, ValueError, OverflowError, RecursionError)


def dumps(value: Any, *, encoder: type[json.JSONEncoder] | None = None) -> str:
    """Encode a value with an encoder, that of ``PGFLOW["JSON_ENCODER"]`` by default, as JSON that Postgres can store.

    Django's encoder writes Decimal and UUID as strings and cuts microseconds to milliseconds; JSON itself makes
    lists of tuples, and strings of the numbers that are keys.

    Raises:
        NotSerializable: The value, or one inside it, has no JSON, or JSON that Postgres refuses: NaN, Infinity, the
            character NUL, half of a surrogate pair. The error names the path to it.
    """
    # What handlers return most; others are not worth a branch.
    if value is None:
        return "null"
    encoder_class: Any = encoder or conf.get().json_encoder
    try:
        text = _writer(encoder_class)(value)
    except ERRORS as error:
        _find_fault(value, encoder_class)
        raise exceptions.NotSerializable("$", str(error)) from error
    # The walk finds nothing where the text has these characters as a backslash, "u" and zeros: that can be stored.
    if "\\u0000" in text or not _is_unicode(text):
        _find_fault(value, encoder_class)
    return text


def loads(text: str | bytes) -> Any:
    """Decode JSON text, as the standard library does but faster."""
    data = text.encode() if isinstance(text, str) else bytes(text)
    # What orjson reads differently: integers of more than 64 bits become floats.
    if LONG_NUMBER in data.translate(ALL_ZERO):
        return json.loads(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)  # its error is what callers know


@functools.cache
def _writer(encoder: Any) -> Callable[[Any], str]:
    # Not orjson: it writes NaN as null and enumerations as their values, where this one refuses.
    return encoder(allow_nan=False, ensure_ascii=False).encode  # type: ignore[no-any-return]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _find_fault(value: Any, encoder: type[json.JSONEncoder]) -> None:
    """Raise NotSerializable for the first value that cannot be stored, if there is one."""
    try:
        _walk(value, "$", encoder(allow_nan=False), ())
    except RecursionError as error:
        raise exceptions.NotSerializable("$", "it is nested too deeply.") from error


def _walk(value: Any, path: str, encoder: json.JSONEncoder, parents: tuple[int, ...]) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path, "the text")
    elif isinstance(value, int):
        try:
            int.__repr__(value)
        except ValueError as error:
            raise exceptions.NotSerializable(path, f"the number is too long: {error}") from error
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise exceptions.NotSerializable(path, f"JSON has no {value!r}. Use None, or a string.")
    elif id(value) in parents:
        raise exceptions.NotSerializable(path, "it contains itself.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _walk(inner, _check_key(key, path), encoder, (*parents, id(value)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _walk(inner, f"{path}[{index}]", encoder, (*parents, id(value)))
    else:
        _walk(_default(value, path, encoder), path, encoder, (*parents, id(value)))


def _check_text(text: str, path: str, what: str) -> None:
    if "\0" in text:
        raise exceptions.NotSerializable(
            path, f"Postgres cannot store the character NUL, at place {text.index(chr(0))} of {what}. Remove it."
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise exceptions.NotSerializable(
            path,
            f"{what} has half of a surrogate pair ({text[error.start]!a}) at place {error.start}. "
            "Decode the bytes that it came from with errors='replace'.",
        ) from error


def _check_key(key: Any, path: str) -> str:
    """Return the path to the value under a key, having checked the key."""
    if isinstance(key, str):
        below = f"{path}.{key}" if slugs.PATTERN.fullmatch(key) else f"{path}[{json.dumps(key)}]"
        _check_text(key, below, "the key")
        return below
    if isinstance(key, float) and not math.isfinite(key):
        raise exceptions.NotSerializable(path, f"JSON has no {key!r}, here a key.")
    if key is None or isinstance(key, int | float):
        return f"{path}[{json.dumps(str(key))}]"
    raise exceptions.NotSerializable(path, f"a key is {key!r}, a {type(key).__name__}; keys must be strings.")


def _default(value: Any, path: str, encoder: json.JSONEncoder) -> Any:
    """Ask the encoder what to store instead of an object."""
    try:
        return encoder.default(value)
    except ERRORS as error:
        raise exceptions.NotSerializable(path, _advice(value, error)) from error


def _advice(value: Any, error: Exception) -> str:
    name = type(value).__name__
    if isinstance(value, Model):
        return f"it is an instance of the model {name}. Return its key, obj.pk, and load it where it is needed."
    if isinstance(value, QuerySet | Manager):
        return f"it is a {name}. Return keys: list(queryset.values_list('pk', flat=True))."
    if isinstance(value, set | frozenset):
        return f"it is a {name}, which has no order. Return sorted(...)."
    if isinstance(value, bytes | bytearray | memoryview):
        return f"it is {name}. Decode it, or encode it as base64 text."
    if isinstance(value, Mapping):
        return f"it is a {name}. Return dict(...)."
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return f"it is a dataclass, {name}. Return dataclasses.asdict(...)."
    return f"the encoder knows no {name}: {error}"
