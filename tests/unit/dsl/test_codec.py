"""What can be stored as JSON, and where the fault is if something cannot."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import types
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_pgflow import NotSerializable
from django_pgflow.dsl import codec
from tests.testapp import flows


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "", "é😀", "\\u0000", "\\ud800", [], {}, [[1], {"a": [None]}], 10**60, "\x01\x7f\u2028"],
)
def test_json_values_come_back_as_they_were(value: Any) -> None:
    assert codec.loads(codec.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ["18446744073709551616", "[1.5e308, -0.0, 1E2]", '{"a": 1e400}', "[" * 500 + "]" * 500, '"é\\u0001"']
)
@pytest.mark.parametrize("encode", [str, str.encode])
def test_text_is_read_as_the_standard_library_reads_it(text: str, encode: Any) -> None:
    assert repr(codec.loads(encode(text))) == repr(json.loads(text))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(json.JSONDecodeError):
        codec.loads("{]")


def test_django_types_become_strings() -> None:
    value = {
        "price": decimal.Decimal("1.50"),
        "id": uuid.UUID(int=1),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC),
        "wait": datetime.timedelta(seconds=3),
        1: (1, 2),
    }
    assert codec.loads(codec.dumps(value)) == {
        "price": "1.50",
        "id": "00000000-0000-0000-0000-000000000001",
        "at": "2026-01-02T03:04:05.678Z",
        "wait": "P0DT00H00M03S",
        "1": [1, 2],
    }


@dataclasses.dataclass
class Point:
    x: int


LOOP: list[Any] = []
LOOP.append({"again": LOOP})
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

BAD = [
    (float("nan"), "$", "JSON has no nan"),
    ({"lines": [{"price": 1.0}, {"price": float("inf")}]}, "$.lines[1].price", "JSON has no inf"),
    ({"a b": {"ok": -float("inf")}}, '$["a b"].ok', "JSON has no -inf"),
    ({"text": ["", "x\0y"]}, "$.text[1]", "cannot store the character NUL, at place 1"),
    ({"a": {"b\0": 1}}, '$.a["b\\u0000"]', "NUL, at place 1 of the key"),
    ({"half": "ab\ud800"}, "$.half", "half of a surrogate pair ('\\ud800') at place 2"),
    ({"\udfff": 1}, '$["\\udfff"]', "half of a surrogate pair"),
    ({"tags": {3, 1}}, "$.tags", "Return sorted"),
    ((1, {"raw": b"x"}), "$[1].raw", "base64"),
    ({"user": User(username="ada")}, "$.user", "an instance of the model User. Return its key, obj.pk"),
    ([Point(1)], "$[0]", "dataclasses.asdict"),
    ([object()], "$[0]", "the encoder knows no object"),
    ({(1, 2): 3}, "$", "a key is (1, 2), a tuple; keys must be strings"),
    ({float("nan"): 3}, "$", "JSON has no nan, here a key"),
    ({"at": [datetime.time(1, tzinfo=datetime.UTC)]}, "$.at[0]", "timezone-aware"),
    (types.MappingProxyType({}), "$", "Return dict(...)"),
    (LOOP, "$[0].again", "it contains itself"),
    (DEEP, "$", "nested too deeply"),
    ([10**5000], "$[0]", "the number is too long"),
]


@pytest.mark.parametrize(("value", "path", "reason"), BAD, ids=[f"{path} {reason[:20]!a}" for _, path, reason in BAD])
def test_the_path_to_the_fault_is_named(value: Any, path: str, reason: str) -> None:
    with pytest.raises(NotSerializable) as caught:
        codec.dumps(value)
    assert caught.value.path == path
    assert reason in caught.value.reason
    str(caught.value).encode()
    assert "\0" not in str(caught.value)


def test_a_queryset_is_refused_without_a_query() -> None:
    with pytest.raises(NotSerializable, match="values_list"):
        codec.dumps({"users": User.objects.all()})


def test_what_an_encoder_makes_of_an_object_is_looked_at_too(settings: Any) -> None:
    settings.PGFLOW = {"JSON_ENCODER": f"{__name__}.PointEncoder"}
    assert codec.dumps([Point(1)]) == '[{"x": 1}]'
    with pytest.raises(NotSerializable) as caught:
        codec.dumps({"points": [Point(1), Point(float("nan"))]})  # type: ignore[arg-type]
    assert caught.value.path == "$.points[1].x"


class PointEncoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        return dataclasses.asdict(o) if isinstance(o, Point) else super().default(o)


def test_an_array_step_returns_a_list() -> None:
    assert flows.numbers.encode_output([1, 2]) == "[1, 2]"
    assert flows.numbers.encode_output((1, 2)) == "[1, 2]"
    assert flows.hello.encode_output(None) == "null"
    for value in (None, {"a": 1}, "ab", range(3)):
        with pytest.raises(NotSerializable, match="'numbers' is an array step and must return a list, not a "):
            flows.numbers.encode_output(value)
