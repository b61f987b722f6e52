"""Holds a value against a JSON schema (draft 4, as Nova's), and says in one sentence what is wrong with it.

Owns what the schemas mean beyond the draft: ``$`` is the end of the text, not also the place before a last newline; a
UUID is 36 characters; a number in a text is no longer than a column is wide. Never reads a request.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft4Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from migrator.errors import BadRequest
from migrator.untrusted import printable, xml_text

Schema = dict[str, Any]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_DIGITS = re.compile(r"-?[0-9]{1,10}")
_LOOKED_AT = 10  # errors, of which the first by its place is told
_PARTS_SHOWN = 10  # of a list or mapping that is too long
_SHOWN = 300  # characters of a value, or of what is wrong with it, that an answer repeats

# Formats. Their names are read in the answers: "... is not a 'uuid'".
UUID = "uuid"
INT32 = "number of at most 2147483647"
IPV4, IPV6 = "ipv4", "ipv6"
_FORMATS = FormatChecker()


@_FORMATS.checks(UUID)
def is_uuid(value: object) -> bool:
    return not isinstance(value, str) or _UUID.fullmatch(value) is not None


@_FORMATS.checks(INT32)
def _is_int32(value: object) -> bool:
    if isinstance(value, str):
        return value == "" or (_DIGITS.fullmatch(value) is not None and abs(int(value)) < 2**31)
    return not isinstance(value, (int, float)) or abs(value) < 2**31


@_FORMATS.checks(IPV4)
def _is_ipv4(value: object) -> bool:
    return value == "" or _is_address(value, ipaddress.IPv4Address)


@_FORMATS.checks(IPV6)
def _is_ipv6(value: object) -> bool:
    return value == "" or _is_address(value, ipaddress.IPv6Address)


def _is_address(value: object, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> bool:
    if not isinstance(value, str):
        return True
    try:
        return bool(kind(value)) and "%" not in value
    except ValueError:
        return False


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and re.search(_whole(pattern), instance) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _whole(pattern: str) -> str:
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


def _sized(keyword: Any) -> Any:
    """``keyword``, which looks at each part of a value, unless that is longer than the schema allows: this alone is
    said of it then, and nothing of its parts."""

    def validate(validator: Any, part: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        most = "maxItems" if isinstance(instance, list) else "maxProperties"
        if most not in schema or not isinstance(instance, list | dict) or len(instance) <= schema[most]:
            yield from keyword(validator, part, instance, schema) or ()

    return validate


def _too_long(_validator: Any, most: int, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, list | dict) and len(instance) > most:
        yield ValidationError(f"{_part(instance)} is too long: at most {most} are allowed, found {len(instance)}")


def _one_of(validator: Any, schemas: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """By the value's type, so that what is wrong with it is said once, and not collected from every branch."""
    fitting = [one for one in schemas if validator.evolve(schema={"type": one["type"]}).is_valid(instance)]
    if len(fitting) == 1:
        yield from validator.descend(instance, fitting[0])
    elif sum(validator.evolve(schema=one).is_valid(instance) for one in fitting) != 1:
        yield ValidationError(f"{_part(instance)} is not valid under any of the given schemas")


def _part(instance: Any) -> str:
    """Enough of a value to know it by."""
    if isinstance(instance, dict):
        return repr(dict(islice(instance.items(), _PARTS_SHOWN)))
    return repr(instance[:_PARTS_SHOWN] if isinstance(instance, list) else instance)


_PARTS = ("items", "properties", "patternProperties", "additionalProperties")  # keywords that look at parts
_KEYWORDS = {
    "pattern": _pattern,
    "oneOf": _one_of,
    "maxItems": _too_long,
    "maxProperties": _too_long,
    **{name: _sized(Draft4Validator.VALIDATORS[name]) for name in _PARTS},
}
_Validator = extend(Draft4Validator, _KEYWORDS)  # type: ignore[no-untyped-call]


@cache
def _validator(text: bytes) -> Any:
    return _Validator(_with_whole_names(orjson.loads(text)), format_checker=_FORMATS)


def _with_whole_names(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_whole_names(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _with_whole_names(value) for name, value in schema.items()}
    if "patternProperties" in found:
        found["patternProperties"] = {_whole(name): value for name, value in found["patternProperties"].items()}
    return found


def check(schema: Mapping[str, Any], value: Any, *, query: bool = False) -> None:
    """Raises BadRequest that names the field."""
    validator = _validator(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    found = islice(validator.iter_errors(value), _LOOKED_AT)
    error = next(iter(sorted(found, key=lambda e: [str(p) for p in e.path])), None)
    if error is not None:
        raise BadRequest(_sentence(error, query=query))


def _sentence(error: ValidationError, *, query: bool) -> str:
    path = [str(part) for part in error.path]
    message = shortened(error.message.replace(r"\\Z'", "$'"))
    if error.validator == "enum":  # which values there are is what the caller needs, however many
        message = f"{shortened(repr(error.instance))} is not one of {error.validator_value!r}"
    if not path:
        return message
    value = shortened(_part(error.instance) if isinstance(error.instance, list | dict) else str(error.instance))
    if query:
        return f"Invalid input for query parameters {path[0]}. Value: {value}. {message}"
    named = next((part for part in reversed(error.path) if isinstance(part, str)), path[-1])  # not an item's number
    return f"Invalid input for field/attribute {shortened(named)}. Value: {value}. {message}"


# What JSON's bytes have where a text in them holds a character that XML cannot.
MAY_HIDE = re.compile(rb"\\u(?:00[01]|[fF]{3}[eEfF])|\xef\xbf[\xbe\xbf]")


def check_characters(value: Any, field: str = "body") -> None:
    """Raises BadRequest that names the field in which a text or a name holds what no domain's XML can."""
    waiting = [(field, value)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(field, item) for item in value]
        elif isinstance(value, dict):
            waiting += [part for name, item in value.items() for part in ((field, name), (name, item))]
        elif isinstance(value, str) and (found := xml_text.forbidden(value)) is not None:
            raise BadRequest(
                f"Invalid input for field/attribute {shortened(printable.escaped(field))}. "
                f"Value: {shortened(printable.escaped(value))}. It holds U+{ord(found):04X}: control characters, "
                "U+FFFE and U+FFFF are not allowed."
            )


def shortened(text: str) -> str:
    """Both ends of a long one: a validator's words have the value first, and what is wrong with it last."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]}"
