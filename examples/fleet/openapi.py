"""The OpenAPI document of the API. It is the same in both releases."""

from __future__ import annotations

from typing import Any

_SIZE = {"cores": {"type": "integer", "minimum": 1}, "memory": {"type": "integer", "minimum": 1}}
_NAME = {"name": {"type": "string", "maxLength": 80}}
_STATES = ["requested", "scheduled", "building", "active"]


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required or properties)}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(summary: str, responses: dict[str, Any], body: str | None = None) -> dict[str, Any]:
    operation = {"summary": summary, "responses": {**responses, "default": _json(_reference("Error"), "An error")}}
    if body:
        operation["requestBody"] = {"required": True, **_json(_reference(body))}
    return operation


_INSTANCE = _json(_reference("Instance"), "The instance")
_LIST = {"type": "array", "items": _reference("Summary")}
_UUID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Fleet", "version": "1.0"},
    "paths": {
        "/instances": {
            "get": {
                **_operation("List instances, by id", {"200": _json(_LIST)}),
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                    {"name": "marker", "in": "query", "schema": {"type": "string", "format": "uuid"}},
                ],
            },
            "post": _operation("Request an instance", {"202": _INSTANCE}, "NewInstance"),
        },
        "/instances/{id}": {
            "parameters": [_UUID],
            "get": _operation("Show an instance", {"200": _INSTANCE}),
            "put": _operation("Rename and resize an instance", {"200": _INSTANCE}, "Change"),
            "delete": _operation("Delete an instance", {"204": {"description": "It is deleted"}}),
        },
        "/openapi.json": {"get": _operation("Show this document", {"200": _json({"type": "object"})})},
    },
    "components": {
        "schemas": {
            "Change": _object({**_NAME, **_SIZE}),
            "NewInstance": _object({"id": {"type": "string", "format": "uuid"}, **_NAME, **_SIZE}),
            "Summary": _object({"id": {"type": "string"}, **_NAME, **_SIZE}),
            "Instance": _object(
                {
                    "id": {"type": "string", "format": "uuid"},
                    **_NAME,
                    **_SIZE,
                    "state": {"type": "string", "enum": _STATES},
                    "host": {"type": ["string", "null"]},
                    "log": {"type": "array", "items": {"type": "string"}},
                }
            ),
            "Error": _object({"error": {"type": "string"}}),
        }
    },
}
