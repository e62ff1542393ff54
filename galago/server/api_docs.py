"""The description of the API: OpenAPI for programs, one plain page for people.

The page is made here, without scripts, so that nothing has to be fetched from anybody.
"""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from galago.server.api_examples import examples

__all__ = ["STYLE_PATH", "described", "page", "style"]

STYLE_PATH = "/assets/api-docs.css"  # under /assets, which needs no key
_STYLE = Path(__file__).with_suffix(".css")
_VERBS = ("get", "post", "delete")


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


def page(schema: dict[str, Any], here: str) -> str:
    """The description to read; `here` is the address of the server, for the examples."""
    routes = [
        (verb, path, route[verb])
        for path, route in schema["paths"].items()
        for verb in _VERBS
        if verb in route
    ]
    links = (
        f"<li><a href='#{_anchor(verb, path)}'><code>{verb.upper()} {escape(path)}</code></a></li>"
        for verb, path, _ in routes
    )
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'><title>galago: the API</title>",
        f"<link rel='stylesheet' href='{STYLE_PATH}'></head>",
        f"<body><main><h1>galago {escape(schema['info']['version'])}</h1>",
        f"<p>{escape(schema['info']['description'])} ",
        "For programs: <a href='/openapi.json'>/openapi.json</a>. ",
        "For people: <a href='/'>the page</a>.</p>",
        "<p>A server with a key wants it in each request but /docs, /openapi.json and /health: ",
        "<code>-H 'Authorization: Bearer KEY'</code> for curl, <code>api_key=\"KEY\"</code> for ",
        "the openai package.</p>",
        f"<nav aria-label='Routes'><ul>{''.join(links)}</ul></nav>",
    ]
    for verb, path, fields in routes:
        parts += _operation(schema, verb, path, fields, here)
    return "".join([*parts, "</main></body></html>"])


def style() -> str:
    """How the page looks; of its own address, as the policy allows no style inside a page."""
    return _STYLE.read_text("utf-8")


def _anchor(verb: str, path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{verb}{path}".lower()).strip("-")


def _operation(
    schema: dict[str, Any], verb: str, path: str, fields: dict[str, Any], here: str
) -> list[str]:
    parts = [
        f"<section id='{_anchor(verb, path)}'>",
        f"<h2><code><span class='verb'>{verb.upper()}</span> {escape(path)}</code></h2>",
        f"<p>{escape(fields.get('description', ''))}</p>",
        *_fields(schema, fields),
    ]
    for language, text in examples(verb, path, here).items():
        named = escape(f"{language}: {verb.upper()} {path}", quote=True)
        parts += [
            f"<h3>{escape(language)}</h3>",
            # Who has no mouse scrolls it by keyboard.
            f'<pre tabindex="0" role="region" aria-label="{named}">',
            f"<code>{escape(text)}</code></pre>",
        ]
    told = (
        f"<dt>{escape(str(status))}</dt><dd>{escape(one['description'])}</dd>"
        for status, one in sorted(fields["responses"].items())
    )
    return [*parts, "<h3>Answers</h3><dl>", *told, "</dl></section>"]


def _fields(schema: dict[str, Any], fields: dict[str, Any]) -> list[str]:
    """A table of what a request may hold."""
    rows = [
        (one["name"], one["schema"], one.get("required", False))
        for one in fields.get("parameters", ())
    ]
    body = fields.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        model = _resolved(schema, body["schema"])
        needed = model.get("required", ())
        rows += [(name, one, name in needed) for name, one in model["properties"].items()]
    if not rows:
        return []
    head = "<table><tr><th>field</th><th>what it is</th><th>needed</th></tr>"
    return [head, *(_row(schema, *row) for row in rows), "</table>"]


def _row(schema: dict[str, Any], name: str, field: dict[str, Any], needed: bool) -> str:
    told = [_kind(schema, field), field.get("description", "")]
    if field.get("default") is not None:
        told.append(f"by default {json.dumps(field['default'])}")
    text = "; ".join(part for part in told if part)
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(text)}</td>"
        f"<td>{'required' if needed else 'optional'}</td></tr>"
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
