"""YAML read as kubectl reads it, whose scalars differ from PyYAML's.

kubectl turns YAML into JSON first (Go's YAML 1.1 with `y` and `on` as booleans, `5e-4` and `0o14` as numbers,
no sexagesimals, no dates), so what a manifest means is settled there. PyYAML parses here; the meaning of a
plain scalar is this module's. A test reads the same texts with kubectl itself.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"  # the tag that the composer below gives an untagged, unquoted scalar

_WORDS: dict[str, Any] = {"": None, "~": None}
for _value, _spellings in ((None, "null"), (True, "y yes true on"), (False, "n no false off")):
    for _word in _spellings.split():
        _WORDS |= {_word: _value, _word.capitalize(): _value, _word.upper(): _value}
for _word in ("inf", "Inf", "INF"):
    _WORDS |= {f".{_word}": math.inf, f"+.{_word}": math.inf, f"-.{_word}": -math.inf}
for _word in ("nan", "NaN", "NAN"):
    _WORDS[f".{_word}"] = math.nan

_INTEGER = re.compile(r"[-+]?(0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "null": (type(None),),
}


class YamlError(ValueError):
    """Text that kubectl could not turn into JSON; says where and why."""


class _Composer(yaml.SafeLoader):
    """SafeLoader that leaves the meaning of plain scalars open."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Tag of a node without one."""
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return yaml.SafeLoader.resolve(self, kind, value, implicit)  # type: ignore[no-untyped-call]


def read_documents(text: str) -> list[Any]:
    """The values of all documents in the text, as JSON types. Raises YamlError with line and column."""
    try:
        return [_value_of(node, ()) for node in yaml.compose_all(text, Loader=_Composer)]
    except yaml.YAMLError as error:
        raise YamlError(f"not YAML: {error}") from error


def plain_scalar(text: str) -> Any:
    """What an unquoted scalar stands for: None, a boolean, a number or a string."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "-+.0123456789":
        return text
    digits = text if text[0] == "." else text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        sign = -1 if digits[0] == "-" else 1
        body = digits.lstrip("+-")
        octal = len(body) > 1 and body[0] == "0" and body[1].isdigit()
        return sign * int(body, 8 if octal else 0)
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        return text if math.isinf(number) else number  # out of range: Go's parser gives up, and so a string
    return text


def _value_of(node: yaml.Node, within: tuple[yaml.Node, ...]) -> Any:
    if any(outer is node for outer in within):
        raise _error(node, "an anchor contains itself")
    within = (*within, node)
    if isinstance(node, yaml.MappingNode) and node.tag in (f"{_TAG}map", f"{_TAG}set"):
        return _mapping(node, within)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        return [_value_of(item, within) for item in node.value]
    if isinstance(node, yaml.ScalarNode):
        return _json_number(_scalar(node), node)
    raise _error(node, f"the tag {node.tag!r} is not known")


def _mapping(node: yaml.MappingNode, within: tuple[yaml.Node, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in node.value:
        if key.tag == _PLAIN and key.value == "<<":
            result |= _merged(value, within)  # in the order of writing: a later merge wins
        else:
            result[_key(key)] = _value_of(value, within)
    return result


def _merged(node: yaml.Node, within: tuple[yaml.Node, ...]) -> dict[str, Any]:
    sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
    result: dict[str, Any] = {}
    for source in reversed(sources):  # of several the first wins
        if not isinstance(source, yaml.MappingNode):
            raise _error(source, "'<<' takes a mapping or a list of mappings")
        result |= _value_of(source, within)
    return result


def _key(node: yaml.Node) -> str:
    value = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if value is None:
        raise _error(node, "a key must be a string")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.tag == _PLAIN:
        return plain_scalar(text)
    kind = node.tag.removeprefix(_TAG)
    if kind in ("str", "!"):
        return text
    if kind == "binary":
        try:
            return base64.b64decode(text).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _error(node, f"{text!r} is not text in base64") from error
    if kind not in _TYPES:
        raise _error(node, f"the tag {node.tag!r} is not known")
    value = plain_scalar(text)
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "bool"):
        raise _error(node, f"{text!r} is not a !!{kind}")
    return value


def _json_number(value: Any, node: yaml.Node) -> Any:
    """The number that remains after JSON: whole floats are integers, integers beyond 64 bits floats."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _error(node, f"{value} is not a number in JSON")
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _error(node: yaml.Node, problem: str) -> YamlError:
    mark = node.start_mark
    return YamlError(f"line {mark.line + 1}, column {mark.column + 1}: {problem}")
