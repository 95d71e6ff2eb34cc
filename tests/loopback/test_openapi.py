"""The contract check: what it accepts and what it reports, on a small document and on the official ones."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bot.loopback.openapi import OpenAPIContract

NAME = {"type": "string", "maxLength": 10}
PERCH = {"type": "object", "properties": {"height": {"type": "integer"}}, "required": ["height"]}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/birds/{bird_id}": {
            "parameters": [{"$ref": "#/components/parameters/BirdId"}],
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                    {"name": "loud", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "since", "in": "query", "schema": {"type": "string", "format": "date-time"}},
                    {"name": "songs", "in": "query", "schema": {"type": "array", "items": {"enum": ["a", "b"]}}},
                    {
                        "name": "fields",
                        "in": "query",
                        "explode": False,
                        "required": True,
                        "schema": {"type": "array", "items": {"enum": ["id", "name"]}, "uniqueItems": True},
                    },
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Bird"}}}},
                    "4XX": {"$ref": "#/components/responses/Error"},
                },
            },
            "delete": {"responses": {"204": {"description": "gone"}}},
        },
        "/birds/@mine": {"get": {"responses": {"204": {}, "default": {"$ref": "#/components/responses/Error"}}}},
        "/birds": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Bird"}}},
                },
                "responses": {"204": {}},
            }
        },
    },
    "components": {
        "parameters": {
            "BirdId": {
                "name": "bird_id",
                "in": "path",
                "required": True,
                "schema": {"$ref": "#/components/schemas/Snowflake"},
            }
        },
        "responses": {
            "Error": {
                "content": {"application/json": {"schema": {"type": "object", "required": ["code"]}}},
            }
        },
        "schemas": {
            "Snowflake": {"type": "string", "format": "snowflake", "pattern": "^[0-9]+$"},
            "Named": {"type": "object", "properties": {"name": NAME}},
            "Bird": {
                "allOf": [
                    {"$ref": "#/components/schemas/Named"},
                    {
                        "properties": {
                            "id": {"$ref": "#/components/schemas/Snowflake"},
                            "perches": {"type": "array", "items": PERCH},
                            "home": {
                                "oneOf": [
                                    {"type": "null"},
                                    {"properties": {"kind": {"const": 1}, "tree": NAME}, "required": ["kind"]},
                                    {"properties": {"kind": {"const": 2}, "roof": NAME}, "required": ["kind"]},
                                ]
                            },
                            "notes": {"type": "object"},
                            "scores": {"type": "object", "additionalProperties": PERCH},
                        }
                    },
                ]
            },
        },
    },
}

POST = "POST /birds: "
GET = "GET /birds/{bird_id}: "


@pytest.fixture
def contract() -> OpenAPIContract:
    """The strict contract of the small document."""
    return OpenAPIContract(DOCUMENT)


def test_a_right_request_has_no_violations(contract: OpenAPIContract) -> None:
    query = {"limit": ["5"], "loud": ["true"], "fields": ["id,name"], "songs": ["a", "b"]}
    assert contract.request_violations("GET", "/birds/12", query, None, None) == []
    body = {"name": "wren", "perches": [{"height": 3}], "home": {"kind": 1, "tree": "oak"}, "notes": {"any": 1}}
    assert contract.request_violations("POST", "/birds", {}, "application/json; charset=utf-8", body) == []


@pytest.mark.parametrize(
    ("query", "violation"),
    [
        ({}, "the required query parameter fields is missing"),
        ({"fields": ["id"], "colour": ["red"]}, "the query parameter colour is not described"),
        ({"fields": ["id"], "limit": ["500"]}, "query parameter limit: 500 is greater than the maximum of 100"),
        ({"fields": ["id"], "limit": ["many"]}, 'query parameter limit: "many" is not of type "integer"'),
        ({"fields": ["id"], "loud": ["2"]}, 'query parameter loud: "2" is not of type "boolean"'),
        ({"fields": ["id"], "since": ["2026-01-01"]}, 'query parameter since: "2026-01-01" is not a "date-time"'),
        ({"fields": ["id,age"]}, 'query parameter fields: "age" is not one of "id" or "name"'),
        ({"fields": ["id,id"]}, 'query parameter fields: ["id","id"] has non-unique elements'),
    ],
)
def test_a_wrong_query_is_reported(contract: OpenAPIContract, query: dict[str, list[str]], violation: str) -> None:
    assert contract.request_violations("GET", "/birds/12", query, None, None) == [GET + violation]


@pytest.mark.parametrize("value", ["true", "True", "1", "false", "False", "0"])
def test_a_boolean_may_be_written_as_discord_reads_it(contract: OpenAPIContract, value: str) -> None:
    query = {"fields": ["id"], "loud": [value]}
    assert contract.request_violations("GET", "/birds/12", query, None, None) == []


@pytest.mark.parametrize(
    ("body", "violation"),
    [
        ({"name": 5}, '$.name: 5 is not of type "string"'),
        ({"perches": [{"height": 1}, {}]}, '$.perches[1]: "height" is a required property'),
        ({"home": {"kind": 2, "roof": "x" * 11}}, '$.home.roof: "xxxxxxxxxxx" is longer than 10 characters'),
        ({"nmae": "wren"}, "$: the key 'nmae' is not described"),
        ({"perches": [{"height": 1, "hight": 2}]}, "$.perches[0]: the key 'hight' is not described"),
        ({"home": {"kind": 1, "roof": "thatch"}}, "$.home: the key 'roof' is not described"),
        ({"scores": {"first": {"height": 1, "x": 2}}}, "$.scores.first: the key 'x' is not described"),
    ],
)
def test_a_wrong_body_is_reported(contract: OpenAPIContract, body: object, violation: str) -> None:
    assert contract.request_violations("POST", "/birds", {}, "application/json", body) == [POST + violation]


def test_unknown_keys_pass_when_not_strict() -> None:
    contract = OpenAPIContract(DOCUMENT, strict=False)
    assert contract.request_violations("POST", "/birds", {}, "application/json", {"nmae": "wren"}) == []


@pytest.mark.parametrize("bird_id", ["12", 12])
def test_an_id_may_be_text_or_a_number(contract: OpenAPIContract, bird_id: object) -> None:
    assert contract.request_violations("POST", "/birds", {}, "application/json", {"id": bird_id}) == []


def test_a_wrong_id_is_reported(contract: OpenAPIContract) -> None:
    problems = contract.request_violations("DELETE", "/birds/robin", {}, None, None)
    assert problems == ['DELETE /birds/{bird_id}: path parameter bird_id: "robin" does not match "^[0-9]+$"']


def test_a_body_is_reported_when_missing_unexpected_or_of_another_type(contract: OpenAPIContract) -> None:
    assert contract.request_violations("POST", "/birds", {}, None, None) == [POST + "the required body is missing"]
    assert contract.request_violations("POST", "/birds", {}, "text/plain", "wren") == [
        POST + "the content type 'text/plain' is not one of application/json"
    ]
    assert contract.request_violations("DELETE", "/birds/1", {}, "application/json", {}) == [
        "DELETE /birds/{bird_id}: a body was sent where the document describes none"
    ]


def test_an_unknown_path_or_method_is_reported(contract: OpenAPIContract) -> None:
    assert contract.request_violations("GET", "/fish", {}, None, None) == ["GET /fish: the document has no such path"]
    assert contract.request_violations("PATCH", "/birds/1", {}, None, None) == [
        "PATCH /birds/{bird_id}: the document has no such method for this path"
    ]


def test_a_fixed_path_comes_before_one_with_a_parameter(contract: OpenAPIContract) -> None:
    assert contract.request_violations("GET", "/birds/@mine", {}, None, None) == []


def test_answers_are_checked(contract: OpenAPIContract) -> None:
    answer = "GET /birds/{bird_id} -> "
    assert contract.response_violations("GET", "/birds/1", 200, {"name": "wren", "more": 1}) == []
    assert contract.response_violations("GET", "/birds/1", 404, {"code": 0}) == []
    assert contract.response_violations("GET", "/birds/1", 404, {}) == [
        answer + '404: $: "code" is a required property'
    ]
    assert contract.response_violations("GET", "/birds/1", 200, None) == [answer + "200: the body is missing"]
    assert contract.response_violations("GET", "/birds/1", 302, {}) == [
        answer + "302: the document describes no answer with this status"
    ]
    assert contract.response_violations("DELETE", "/birds/1", 204, {}) == [
        "DELETE /birds/{bird_id} -> 204: a body was sent where the document describes none"
    ]
    assert contract.response_violations("GET", "/birds/@mine", 500, {"code": 1}) == []


def test_null_in_openapi_3_0_is_understood() -> None:
    document = json.loads(json.dumps(DOCUMENT)) | {"openapi": "3.0.0"}
    document["components"]["schemas"]["Named"]["properties"]["name"] = {"enum": ["wren"], "nullable": True}
    contract = OpenAPIContract(document)
    assert contract.request_violations("POST", "/birds", {}, "application/json", {"name": None}) == []
    assert contract.request_violations("POST", "/birds", {}, "application/json", {"name": "robin"}) != []


# The official documents


@pytest.fixture(scope="module")
def specs() -> Path:
    """The folder with the official documents; skips without it."""
    folder = os.environ.get("MOCKINGBIRD_TEST_SPECS")
    if folder is None:
        pytest.skip("MOCKINGBIRD_TEST_SPECS is not set")
    return Path(folder)


def test_discords_document(specs: Path) -> None:
    contract = OpenAPIContract.load(specs / "discord-api-v10_2026-07-18_MIT.json")
    path, media = "/channels/1/messages", "application/json"
    assert contract.request_violations("POST", path, {}, media, {"content": "hello", "tts": False}) == []
    assert contract.request_violations("POST", path, {}, media, {"embeds": [{"titel": "hello"}]}) == [
        "POST /channels/{channel_id}/messages: $.embeds[0]: the key 'titel' is not described"
    ]
    callback = "/interactions/1/token/callback"
    assert contract.request_violations("POST", callback, {"with_response": ["1"]}, media, {"type": 5}) == []
    assert contract.response_violations("GET", "/users/@me", 401, {"message": "401: Unauthorized", "code": 0}) == []


def test_xs_document(specs: Path) -> None:
    contract = OpenAPIContract.load(specs / "x-api-v2.167_docs_2026-08-22.json")
    query = {"max_results": ["100"], "exclude": ["replies,retweets"], "since_id": ["5"]}
    assert contract.request_violations("GET", "/2/users/1/tweets", query, None, None) == []
    assert contract.request_violations("GET", "/2/users/1/tweets", {"max_results": ["4"]}, None, None) == [
        "GET /2/users/{id}/tweets: query parameter max_results: 4 is less than the minimum of 5"
    ]
    assert contract.request_violations("POST", "/2/tweets", {}, "application/json", {"text": "hello"}) == []
    assert contract.request_violations("POST", "/2/tweets", {}, "application/json", {"tekst": "hello"}) != []
