"""Forms that a bot shows to a person: what Discord takes as one, and how it hands back what was filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.loopback.discord.components import ComponentType, check_choice, check_custom_ids, numbered, walk
from bot.loopback.discord.errors import invalid_form

_LONGEST_CUSTOM_ID, _LONGEST_TITLE, _LONGEST_LABEL = 100, 45, 45  # characters
_LONGEST_DESCRIPTION, _LONGEST_PLACEHOLDER, _LONGEST_TEXT = 100, 150, 4000  # characters
_MOST_COMPONENTS, _MOST_OPTIONS = 5, 25
_FIELDS = (ComponentType.TEXT_INPUT, ComponentType.STRING_SELECT)

Values = Mapping[str, str | Sequence[str]]  # what a person fills in, by custom id


def checked_modal(data: Mapping[str, Any]) -> dict[str, Any]:
    """The modal that a callback asks for, its components numbered. Raises DiscordError."""
    _check_length(data.get("custom_id"), "custom_id", 1, _LONGEST_CUSTOM_ID)
    _check_length(data.get("title"), "title", 1, _LONGEST_TITLE)
    components = data.get("components")
    if not isinstance(components, list) or not 1 <= len(components) <= _MOST_COMPONENTS:
        raise _refused("components", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {_MOST_COMPONENTS} in length.")
    for index, component in enumerate(components):
        _check_top(component, f"components.{index}")
    check_custom_ids(components, "data.components")
    return {**data, "components": numbered(components)}


def submission_data(modal: Mapping[str, Any], values: Values) -> dict[str, Any]:
    """A filled-in modal as Discord writes it; a field that isn't named keeps what it was shown with.

    Raises LookupError for a field or an option that there isn't and for a required field that is left empty, and
    ValueError for a value that the field wouldn't take.
    """
    fields = {each["custom_id"]: each for each in walk(modal["components"]) if each.get("type") in _FIELDS}
    for name in values:
        if name not in fields:
            raise LookupError(f"there is no field {name!r} to fill in; there are: {', '.join(fields)}")
    components = [_submitted(component, values) for component in modal["components"]]
    return {"custom_id": modal["custom_id"], "components": components}


def _submitted(component: Mapping[str, Any], values: Values) -> dict[str, Any]:
    answer: dict[str, Any] = {"type": component["type"], "id": component["id"]}
    if component["type"] == ComponentType.ACTION_ROW:
        return answer | {"components": [_submitted(child, values) for child in component["components"]]}
    if component["type"] == ComponentType.LABEL:
        return answer | {"component": _submitted(component["component"], values)}
    if component["type"] == ComponentType.TEXT_INPUT:
        return answer | {"custom_id": component["custom_id"], "value": _text(component, values)}
    if component["type"] == ComponentType.STRING_SELECT:
        return answer | {"custom_id": component["custom_id"], "values": _choice(component, values)}
    return answer


def _text(field: Mapping[str, Any], values: Values) -> str:
    value = values.get(field["custom_id"], field.get("value") or "")
    if not isinstance(value, str):
        raise ValueError(f"{field['custom_id']} takes a text")
    if not value and field.get("required", True):
        raise LookupError(f"the field {field['custom_id']!r} has to be filled in")
    shortest, longest = field.get("min_length") or 0, field.get("max_length") or _LONGEST_TEXT
    if value and not shortest <= len(value) <= longest:
        raise ValueError(f"{field['custom_id']} takes {shortest} to {longest} characters, not {len(value)}")
    return value


def _choice(field: Mapping[str, Any], values: Values) -> list[str]:
    shown = [option["value"] for option in field["options"] if option.get("default")]
    value = values.get(field["custom_id"], shown)
    chosen = [value] if isinstance(value, str) else list(value)
    if not chosen and field.get("required", True):
        raise LookupError(f"in the field {field['custom_id']!r} something has to be chosen")
    if chosen:
        check_choice(field, chosen)
    return chosen


# What Discord checks


def _check_top(component: Mapping[str, Any], place: str) -> None:
    """Raises DiscordError unless a component may stand in a modal by itself."""
    kind = component.get("type")
    if kind == ComponentType.TEXT_DISPLAY:
        return
    if kind == ComponentType.LABEL:
        _check_length(component.get("label"), f"{place}.label", 1, _LONGEST_LABEL)
        _check_length(component.get("description") or "", f"{place}.description", 0, _LONGEST_DESCRIPTION)
        _check_field(component.get("component") or {}, f"{place}.component", _FIELDS)
    elif kind == ComponentType.ACTION_ROW:
        inside = component.get("components") or []
        if len(inside) != 1:
            raise _refused(f"{place}.components", "BASE_TYPE_BAD_LENGTH", "Must be 1 in length.")
        _check_length(inside[0].get("label"), f"{place}.components.0.label", 1, _LONGEST_LABEL)
        _check_field(inside[0], f"{place}.components.0", (ComponentType.TEXT_INPUT,))
    else:
        raise _refused(f"{place}.type", "BASE_TYPE_CHOICES", "Value must be one of (1, 10, 18).")


def _check_field(field: Mapping[str, Any], place: str, allowed: Sequence[ComponentType]) -> None:
    if field.get("type") not in allowed:
        choices = ", ".join(str(int(kind)) for kind in allowed)
        raise _refused(f"{place}.type", "BASE_TYPE_CHOICES", f"Value must be one of ({choices}).")
    for name, value, shortest, longest in _texts_of(field):
        _check_length(value, f"{place}.{name}", shortest, longest)
    if field["type"] == ComponentType.STRING_SELECT and not 1 <= len(field.get("options") or []) <= _MOST_OPTIONS:
        raise _refused(f"{place}.options", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {_MOST_OPTIONS} in length.")


def _texts_of(field: Mapping[str, Any]) -> Iterator[tuple[str, object, int, int]]:
    """The texts of a field, each with its place and how short and long it may be."""
    is_text = field["type"] == ComponentType.TEXT_INPUT
    yield "custom_id", field.get("custom_id"), 1, _LONGEST_CUSTOM_ID
    yield "placeholder", field.get("placeholder") or "", 0, 100 if is_text else _LONGEST_PLACEHOLDER
    if is_text:
        yield "value", field.get("value") or "", 0, field.get("max_length") or _LONGEST_TEXT
    for index, option in enumerate(field.get("options") or []):
        yield f"options.{index}.label", option.get("label"), 1, 100
        yield f"options.{index}.value", option.get("value"), 1, 100


def _check_length(value: object, place: str, shortest: int, longest: int) -> None:
    if not isinstance(value, str) or not shortest <= len(value) <= longest:
        raise _refused(place, "BASE_TYPE_BAD_LENGTH", f"Must be between {shortest} and {longest} in length.")


def _refused(place: str, code: str, message: str) -> Exception:
    return invalid_form(f"data.{place}", code, message)
