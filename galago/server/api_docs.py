"""The description of the API: OpenAPI for programs, one plain page for people.

The page is made here, without scripts, so that nothing has to be fetched from anybody.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

__all__ = ["described", "page"]

_VERBS = ("get", "post")


def described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI without FastAPI's 422, which here is a 400 in OpenAI's shape."""
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    for route in schema["paths"].values():
        for operation in route.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(name, None)
    key = {"type": "http", "scheme": "bearer", "description": "With `galago serve --api-key`."}
    schema["components"]["securitySchemes"] = {"key": key}
    schema["security"] = [{}, {"key": []}]
    return schema


def page(schema: dict[str, Any]) -> str:
    """The description to read."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>galago: the API</title></head>",
        f"<body><main><h1>galago {escape(schema['info']['version'])}</h1>",
        f"<p>{escape(schema['info']['description'])} ",
        "For programs: <a href='/openapi.json'>/openapi.json</a>.</p>",
    ]
    for path, route in schema["paths"].items():
        for verb in _VERBS:
            if verb in route:
                parts += _operation(schema, verb, path, route[verb])
    return "".join([*parts, "</main></body></html>"])


def _operation(schema: dict[str, Any], verb: str, path: str, fields: dict[str, Any]) -> list[str]:
    parts = [
        f"<h2><code>{verb.upper()} {escape(path)}</code></h2>",
        f"<p>{escape(fields.get('description', ''))}</p>",
    ]
    rows = [
        (one["name"], one["schema"], one.get("required", False))
        for one in fields.get("parameters", ())
    ]
    body = fields.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        model = _resolved(schema, body["schema"])
        needed = model.get("required", ())
        rows += [(name, one, name in needed) for name, one in model["properties"].items()]
    if rows:
        parts.append("<table><tr><th>field</th><th>what it is</th><th></th></tr>")
        parts += [_row(schema, *row) for row in rows]
        parts.append("</table>")
    told = (
        f"<dt>{escape(str(status))}</dt><dd>{escape(one['description'])}</dd>"
        for status, one in sorted(fields["responses"].items())
    )
    return [*parts, "<dl>", *told, "</dl>"]


def _row(schema: dict[str, Any], name: str, field: dict[str, Any], needed: bool) -> str:
    told = [_kind(schema, field), field.get("description", "")]
    if field.get("default") is not None:
        told.append(f"by default {json.dumps(field['default'])}")
    text = "; ".join(part for part in told if part)
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td>"
        f"<td>{'required' if needed else ''}</td></tr>"
    )


def _kind(schema: dict[str, Any], field: dict[str, Any]) -> str:
    """A field's type in words."""
    if "$ref" in field:
        model = _resolved(schema, field)
        inner = ", ".join(model.get("properties", {}))
        return f"an object ({inner})" if inner else str(model.get("type", ""))
    if "anyOf" in field or "oneOf" in field:
        kinds = (_kind(schema, one) for one in field.get("anyOf") or field["oneOf"])
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    if "enum" in field:
        return " or ".join(json.dumps(one) for one in field["enum"])
    if field.get("type") == "array":
        return f"a list of {_kind(schema, field.get('items', {}))}"
    return str(json.dumps(field["const"]) if "const" in field else field.get("type", ""))


def _resolved(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in field:
        return field
    found: dict[str, Any] = schema["components"]["schemas"][field["$ref"].split("/")[-1]]
    return found
