"""Buttons and select menus under a message: how they are numbered, found and used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import count
from typing import Any

from bot.loopback.discord.errors import invalid_form
from bot.loopback.discord.messages import Message


class ComponentType(IntEnum):
    """The kinds of components that something here depends on, with Discord's numbers."""

    ACTION_ROW = 1
    BUTTON = 2
    STRING_SELECT = 3
    TEXT_INPUT = 4
    TEXT_DISPLAY = 10
    LABEL = 18


def walk(components: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Every component, whatever it stands in, in the order in which people see them."""
    for component in components:
        yield component
        yield from walk(_inside(component))


def numbered(components: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The components with the ids that Discord gives them: 1, 2, 3, … in the order in which they stand."""
    numbers = count(1)

    def number(node: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {"id": next(numbers), **node}
        if "components" in node:
            given["components"] = [number(child) for child in node["components"]]
        for key in ("component", "accessory"):
            if key in node:
                given[key] = number(node[key])
        return given

    return [number(component) for component in components]


def check_custom_ids(components: Sequence[Mapping[str, Any]], place: str) -> None:
    """Raises DiscordError when two components have the same custom id."""
    given = [component["custom_id"] for component in walk(components) if component.get("custom_id") is not None]
    if len(given) != len(set(given)):
        raise invalid_form(place, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")


def button_data(message: Message, label: str) -> dict[str, Any]:
    """A press of the button with this label under a message, as Discord writes it. LookupError if there is none."""
    buttons = [each for each in walk(message.components) if each.get("type") == ComponentType.BUTTON]
    for button in buttons:
        if button.get("label") == label and not button.get("disabled") and "custom_id" in button:
            return {"custom_id": button["custom_id"], "component_type": button["type"], "id": button["id"]}
    labels = ", ".join(str(button.get("label")) for button in buttons) or "none"
    raise LookupError(f"there is no button {label!r} to press; there are: {labels}")


def choice_data(message: Message, which: str, values: Sequence[str]) -> dict[str, Any]:
    """A choice in the select menu with this custom id or placeholder, as Discord writes it.

    Raises LookupError if there is no such menu or no such option, and ValueError for too many options or too few.
    """
    menus = [each for each in walk(message.components) if each.get("type") == ComponentType.STRING_SELECT]
    for menu in menus:
        if which in (menu["custom_id"], menu.get("placeholder")) and not menu.get("disabled"):
            check_choice(menu, values)
            kind = {"custom_id": menu["custom_id"], "component_type": menu["type"], "id": menu["id"]}
            return kind | {"values": list(values)}
    names = ", ".join(f"{menu['custom_id']} ({menu.get('placeholder')})" for menu in menus) or "none"
    raise LookupError(f"there is no menu {which!r} to choose from; there are: {names}")


def check_choice(menu: Mapping[str, Any], values: Sequence[str]) -> None:
    """Raises LookupError for an option that a menu doesn't have, and ValueError for too many options or too few."""
    known = [option["value"] for option in menu["options"]]
    for value in values:
        if value not in known:
            raise LookupError(f"there is no option {value!r} in {menu['custom_id']}; there are: {', '.join(known)}")
    fewest, most = _default(menu.get("min_values"), 1), _default(menu.get("max_values"), 1)
    if not fewest <= len(values) <= most or len(set(values)) != len(values):
        raise ValueError(f"{menu['custom_id']} takes {fewest} to {most} different options, not {len(values)}")


def _default(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _inside(component: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    single = [component[key] for key in ("component", "accessory") if isinstance(component.get(key), dict)]
    return [*component.get("components", []), *single]
