"""Check requests and responses against a platform's official OpenAPI document.

`OpenAPIContract.load` reads the document once (a megabyte takes some tens of milliseconds) and compiles nothing. The
JSON Schema of an operation is looked up when the first request for it arrives, and its validator is kept. So the cost
of a check is the cost of the schemas that it needs, not of the document.

Three things in which the documents are read differently from how they are written:

- They almost never forbid unknown keys, so that a misspelt key would pass. A strict contract reports every key of a
  request body that no schema applying at that place describes.
- OpenAPI 3.0 has a dialect of its own for null (`nullable: true`). It is rewritten to JSON Schema on loading.
- Discord's document says that a snowflake is a string. Discord writes strings and reads integers as well, which the
  client libraries rely on, so both are right here.

What is not checked: headers, security schemes, the encoding of multipart parts, `discriminator`, and formats that
JSON Schema doesn't name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jsonschema_rs import Draft202012Validator, Registry, ValidationError, ValidationErrorKind

_DOCUMENT = "urn:openapi"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})
_NO_ALTERNATIVE = (ValidationErrorKind.AnyOf, ValidationErrorKind.OneOfNotValid)
_LONGEST_MESSAGE = 300  # characters; a message quotes the offending value, which may be long

# Discord, "Boolean Query Strings" in its API reference: a boolean in a query may be written in any of these ways.
_BOOLEANS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


@dataclass(frozen=True, slots=True)
class _Path:
    """One path of the document, ready to be matched."""

    template: str  # as written in the document, such as "/channels/{channel_id}/messages"
    pattern: re.Pattern[str]  # matches a concrete path; one group for each parameter
    names: tuple[str, ...]  # the parameters' names, in the order of the groups


@dataclass(frozen=True, slots=True)
class _Operation:
    """One method of one path. Pointers are JSON pointers into the document, without the leading '#'."""

    title: str  # "POST /channels/{channel_id}/messages", the start of every violation
    pointer: str  # where the operation stands
    parameters: dict[tuple[str, str], str]  # (in, name) -> pointer of the parameter, path-level ones included


class OpenAPIContract:
    """What an OpenAPI document allows. Every check answers with sentences; an empty list means that it allows it."""

    def __init__(self, document: Mapping[str, Any], *, strict: bool = True) -> None:
        """`document` is the parsed JSON of OpenAPI 3.0 or 3.1; with `strict`, unknown keys in requests are reported."""
        self._document = _as_json_schema(document)
        self._strict = strict
        self._registry = Registry([(_DOCUMENT, self._document)])
        self._validators: dict[str, Draft202012Validator] = {}
        self._operations: dict[str, _Operation] = {}
        # A path with fewer parameters comes first: /users/@me is not a user whose id is "@me".
        self._paths = sorted((_path(template) for template in self._document["paths"]), key=lambda p: len(p.names))

    @classmethod
    def load(cls, path: Path, *, strict: bool = True) -> OpenAPIContract:
        """The contract of the OpenAPI document (JSON) at `path`."""
        return cls(json.loads(path.read_text(encoding="utf-8")), strict=strict)

    def request_violations(
        self,
        method: str,
        path: str,
        query: Mapping[str, Sequence[str]],
        content_type: str | None,
        body: object | None,
    ) -> list[str]:
        """What is wrong with a request, one sentence each.

        `path` is concrete and without the server's base path ("/channels/1/messages", "/2/users/1/tweets"), `query`
        holds the decoded values of each name, `body` is the parsed body, None when there was none. For Discord's
        multipart requests pass the parsed `payload_json` as an application/json body: the document doesn't model it.
        """
        found = self._find(method, path)
        if isinstance(found, str):
            return [found]
        operation, path_values = found
        problems = [
            *self._path_problems(operation, path_values),
            *self._query_problems(operation, query),
            *self._body_problems(operation, content_type, body),
        ]
        return [f"{operation.title}: {problem}" for problem in problems]

    def response_violations(self, method: str, path: str, status: int, body: object | None) -> list[str]:
        """What is wrong with an answer, one sentence each; `body` is the parsed body, None when there was none."""
        found = self._find(method, path)
        if isinstance(found, str):
            return [found]
        operation, _ = found
        return [f"{operation.title} -> {status}: {p}" for p in self._response_problems(operation, status, body)]

    # Finding the operation

    def _find(self, method: str, path: str) -> tuple[_Operation, dict[str, str]] | str:
        """The operation and the values of its path parameters, or the sentence that says why there is none."""
        templates = [(entry, match) for entry in self._paths if (match := entry.pattern.fullmatch(path))]
        if not templates:
            return f"{method.upper()} {path}: the document has no such path"
        for entry, match in templates:
            if method.lower() in self._document["paths"][entry.template]:
                return self._operation(method.lower(), entry.template), dict(
                    zip(entry.names, match.groups(), strict=True)
                )
        return f"{method.upper()} {templates[0][0].template}: the document has no such method for this path"

    def _operation(self, method: str, template: str) -> _Operation:
        title = f"{method.upper()} {template}"
        if title not in self._operations:
            path_pointer = "/paths/" + _escaped(template)
            pointer = f"{path_pointer}/{method}"
            parameters: dict[tuple[str, str], str] = {}
            for owner in (path_pointer, pointer):  # the operation's own parameters override the path's
                for index in range(len(self._at(owner).get("parameters", ()))):
                    where, parameter = self._follow(f"{owner}/parameters/{index}")
                    parameters[parameter["in"], parameter["name"]] = where
            self._operations[title] = _Operation(title, pointer, parameters)
        return self._operations[title]

    # Checking its parts

    def _path_problems(self, operation: _Operation, values: Mapping[str, str]) -> Iterator[str]:
        for name, text in values.items():
            pointer = operation.parameters.get(("path", name))
            if pointer is not None:
                yield from self._text_problems(pointer, f"path parameter {name}", [text])

    def _query_problems(self, operation: _Operation, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        for (place, name), pointer in operation.parameters.items():
            if place == "query" and name not in query and self._at(pointer).get("required", False):
                yield f"the required query parameter {name} is missing"
        for name, values in query.items():
            if ("query", name) in operation.parameters:
                yield from self._text_problems(operation.parameters["query", name], f"query parameter {name}", values)
            else:
                yield f"the query parameter {name} is not described"

    def _text_problems(self, pointer: str, label: str, values: Sequence[str]) -> Iterator[str]:
        """Text has no type, so it is right when one reading of it (text, number, boolean, list) fits the schema."""
        validator = self._validator(pointer + "/schema")
        exploded = self._at(pointer).get("explode", True)
        readings = list(_readings(values, exploded=exploded))
        if any(validator.is_valid(reading) for reading in readings):
            return
        problems = [list(validator.iter_errors(reading)) for reading in readings]
        # The reading that was meant is the one that got past the type.
        meant = next((errors for errors in problems if all(e.kind.name != "type" for e in errors)), problems[0])
        for error in meant:
            yield f"{label}: {_shortened(error.message)}"

    def _body_problems(self, operation: _Operation, content_type: str | None, body: object | None) -> Iterator[str]:
        if "requestBody" not in self._at(operation.pointer):
            if body is not None:
                yield "a body was sent where the document describes none"
            return
        pointer, described = self._follow(operation.pointer + "/requestBody")
        if body is None:
            if described.get("required", False):
                yield "the required body is missing"
            return
        media = (content_type or "").split(";")[0].strip().lower()
        if media not in described["content"]:
            yield f"the content type {content_type!r} is not one of {', '.join(sorted(described['content']))}"
            return
        schema = f"{pointer}/content/{_escaped(media)}/schema"
        problems = list(self._value_problems(schema, body))
        # Which alternatives of a schema apply can only be told for a valid body, so unknown keys come second.
        yield from problems or (self._unknown_keys([schema], body, "$") if self._strict else [])

    def _response_problems(self, operation: _Operation, status: int, body: object | None) -> Iterator[str]:
        responses = self._at(operation.pointer)["responses"]
        key = next((k for k in (str(status), f"{status // 100}XX", "default") if k in responses), None)
        if key is None:
            yield "the document describes no answer with this status"
            return
        pointer, described = self._follow(f"{operation.pointer}/responses/{key}")
        content = described.get("content", {})
        if body is None or not content:
            if (body is None) != (not content):
                yield "the body is missing" if body is None else "a body was sent where the document describes none"
            return
        alternatives = [list(self._value_problems(f"{pointer}/content/{_escaped(m)}/schema", body)) for m in content]
        yield from min(alternatives, key=len)

    def _value_problems(self, pointer: str, value: object) -> Iterator[str]:
        for error in self._validator(pointer).iter_errors(value):
            closest = _closest(error)
            yield f"{_place(closest.instance_path)}: {_shortened(closest.message)}"

    # Unknown keys

    def _unknown_keys(self, pointers: Sequence[str], value: object, where: str) -> Iterator[str]:
        """The keys in `value` that none of the schemas at `pointers` describes, at any depth."""
        schemas = {p: self._at(p) for pointer in pointers for p in self._applying(pointer, value)}
        if isinstance(value, list):
            items = [f"{p}/items" for p, schema in schemas.items() if "items" in schema]
            for index, item in enumerate(value):
                yield from self._unknown_keys(items, item, f"{where}[{index}]")
        further = [p for p, schema in schemas.items() if schema.get("additionalProperties", False) is not False]
        closed = any("properties" in schema for schema in schemas.values())
        if not isinstance(value, dict) or not (closed or further):
            return  # a schema that says nothing about keys describes a free-form object
        for key, item in value.items():
            named = [p for p, schema in schemas.items() if key in schema.get("properties", {})]
            described = [f"{p}/properties/{_escaped(key)}" for p in named]
            described = described or [f"{p}/additionalProperties" for p in further]
            if described:
                yield from self._unknown_keys(described, item, f"{where}.{key}")
            else:
                yield f"{where}: the key {key!r} is not described"

    def _applying(self, pointer: str, value: object) -> Iterator[str]:
        """The pointers of every schema that applies to `value` itself: references followed, alternatives chosen."""
        schema = self._at(pointer)
        if not isinstance(schema, dict):
            return
        yield pointer
        if "$ref" in schema:
            yield from self._applying(schema["$ref"].removeprefix("#"), value)
        for keyword in ("allOf", "oneOf", "anyOf"):
            for index in range(len(schema.get(keyword, ()))):
                branch = f"{pointer}/{keyword}/{index}"
                if keyword == "allOf" or self._validator(branch).is_valid(value):
                    yield from self._applying(branch, value)

    # The document

    def _validator(self, pointer: str) -> Draft202012Validator:
        if pointer not in self._validators:
            self._validators[pointer] = Draft202012Validator(
                {"$ref": f"{_DOCUMENT}#{quote(pointer)}"}, registry=self._registry, validate_formats=True
            )
        return self._validators[pointer]

    def _at(self, pointer: str) -> Any:
        node: Any = self._document
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            node = node[int(key)] if isinstance(node, list) else node[key]
        return node

    def _follow(self, pointer: str) -> tuple[str, Any]:
        """The node at `pointer`, or the one that its reference names, with the pointer where it really stands."""
        node = self._at(pointer)
        while "$ref" in node:
            pointer = node["$ref"].removeprefix("#")
            node = self._at(pointer)
        return pointer, node


def _path(template: str) -> _Path:
    names = tuple(re.findall(r"\{([^}]+)\}", template))
    literal = [re.escape(text) for text in re.split(r"\{[^}]+\}", template)]
    return _Path(template, re.compile("([^/]+)".join(literal)), names)


def _escaped(key: str) -> str:
    """A key as a step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _readings(values: Sequence[str], *, exploded: bool) -> Iterator[object]:
    """Every value that the text of a parameter can stand for."""
    texts = list(values) if exploded else [part for value in values for part in value.split(",")]
    if len(values) == 1:
        yield values[0]
        yield from _scalars(values[0])
    yield texts
    yield [next(_scalars(text), text) for text in texts]


def _scalars(text: str) -> Iterator[object]:
    if re.fullmatch(r"-?\d+", text):
        yield int(text)
    elif re.fullmatch(r"-?\d+\.\d+", text):
        yield float(text)
    if text in _BOOLEANS:
        yield _BOOLEANS[text]


def _closest(error: ValidationError) -> ValidationError:
    """The error that says most: where alternatives failed, the one of the alternative that got deepest into the value.

    An alternative that was not meant fails near the top, at the key that tells them apart. In a tie the last one wins,
    because documents put null first.
    """
    while isinstance(error.kind, _NO_ALTERNATIVE):
        alternatives = [errors for errors in error.kind.context if errors]
        best = max(reversed(alternatives), key=lambda errors: min(len(e.instance_path) for e in errors))
        error = best[0]
    return error


def _place(path: Sequence[str | int]) -> str:
    """Where a value stands, such as "$.perches[0].height"."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def _shortened(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"


def _as_json_schema(node: Any) -> Any:
    """A copy of a document in which nullable values and snowflakes are described as this module's docstring says."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    copy = {key: _as_json_schema(item) for key, item in node.items()}
    if copy.get("format") == "snowflake":
        copy["type"] = ["string", "integer"]
    if copy.get("nullable") is True:
        del copy["nullable"]
        return {"anyOf": [copy, {"type": "null"}]}
    return copy
