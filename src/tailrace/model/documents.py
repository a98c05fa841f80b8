"""Values out of JSON documents hold what their classes declare: no text where a number belongs, no ``true`` for 1."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def parse(data: bytes) -> Any:
    """A JSON document that can be written again, so without lone surrogates. Raises ValueError, RecursionError."""
    value = json.loads(data.decode("utf-8"))
    if b"\\u" in data:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def build(cls: type[T], value: Mapping[str, Any], optional: Collection[str] = ()) -> T:
    """`cls` from exactly its fields, each of its declared type; `optional` ones may be absent. Raises ValueError, TypeError."""
    known = _checks(cast(Hashable, cls))
    if value.keys() - known.keys() or known.keys() - value.keys() - set(optional):
        raise ValueError(f"{cls.__name__} has the fields {', '.join(known)}, not {', '.join(map(str, value))}")
    for name, is_declared in known.items():
        if name in value and not is_declared(value[name]):
            raise ValueError(f"{cls.__name__}.{name} cannot be {value[name]!r:.80}")
    return cls(**value)


def array(value: Any) -> list[Any]:
    """A JSON array. Raises ValueError, so that neither text nor an object is taken for one."""
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.80} is no array")
    return value


@functools.cache
def _checks(cls: Any) -> dict[str, Callable[[Any], bool]]:
    hints = get_type_hints(cls)
    return {field.name: _check(hints[field.name]) for field in fields(cls)}


def _check(hint: Any) -> Callable[[Any], bool]:
    if isinstance(hint, NewType):
        hint = hint.__supertype__
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in args
    if origin in (UnionType, Union):
        checks = [_check(arg) for arg in args]
        return lambda value: any(check(value) for check in checks)
    if origin is tuple:
        member = _check(args[0])
        return lambda value: isinstance(value, tuple) and all(map(member, value))
    if origin is Mapping:
        name, member = map(_check, args)
        return lambda value: isinstance(value, Mapping) and all(map(name, value)) and all(map(member, value.values()))
    return lambda value: type(value) is hint  # exactly: True is no int
