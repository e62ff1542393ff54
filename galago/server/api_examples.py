"""An example of each route, to paste into a shell or a Python program as it stands."""

from __future__ import annotations

__all__ = ["examples"]

_HERE = "@HERE@"  # the address of the server; braces belong to JSON and Python here

_JSON = "-H 'Content-Type: application/json'"

# Through a pipe: a picture is longer than an argument may be.
_LOOK = f"""\
printf '{{"messages": [{{"role": "user", "content": [
  {{"type": "image_url", "image_url": {{"url": "data:image/png;base64,%s"}}}},
  {{"type": "text", "text": "What is written in this image?"}}]}}]}}' \\
  "$(base64 < note.png | tr -d '\\n')" |
curl {_HERE}/v1/chat/completions {_JSON} -d @-"""

_SORT = f"""\
printf '{{"image": "data:image/png;base64,%s", "labels": ["a note", "a dog", "a car"]}}' \\
  "$(base64 < note.png | tr -d '\\n')" |
curl {_HERE}/api/classify {_JSON} -d @-"""

_CLIENT = f"""\
import openai

client = openai.OpenAI(base_url="{_HERE}/v1", api_key="any")
"""

_LOOK_PYTHON = f"""\
import base64
import openai

client = openai.OpenAI(base_url="{_HERE}/v1", api_key="any")
picture = base64.b64encode(open("note.png", "rb").read()).decode()
stream = client.chat.completions.create(
    model="",
    messages=[{{"role": "user", "content": [
        {{"type": "image_url", "image_url": {{"url": f"data:image/png;base64,{{picture}}"}}}},
        {{"type": "text", "text": "What is written in this image?"}},
    ]}}],
    stream=True,
)
for part in stream:
    if part.choices:
        print(part.choices[0].delta.content or "", end="", flush=True)"""


def _post(path: str, body: str) -> str:
    """Python without anything to install."""
    return f"""\
import json
import urllib.request

body = {body}
request = urllib.request.Request(
    "{_HERE}{path}", json.dumps(body).encode(), {{"Content-Type": "application/json"}}
)
print(json.load(urllib.request.urlopen(request)))"""


_CARD = f"""\
import base64
import openai
import pydantic


class Card(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=40)
    age: int


client = openai.OpenAI(base_url="{_HERE}/v1", api_key="any")
picture = base64.b64encode(open("note.png", "rb").read()).decode()
response = client.responses.parse(
    model="",
    input=[{{"role": "user", "content": [
        {{"type": "input_image", "image_url": f"data:image/png;base64,{{picture}}"}},
        {{"type": "input_text", "text": "Who is this?"}},
    ]}}],
    text_format=Card,
)
print(response.output_parsed)"""


_EXAMPLES: dict[tuple[str, str], dict[str, str]] = {
    ("post", "/v1/chat/completions"): {"curl": _LOOK, "Python": _LOOK_PYTHON},
    ("post", "/v1/responses"): {
        "curl": f"""curl {_HERE}/v1/responses {_JSON} -d '{{"input": "What is a galago?"}}'""",
        "Python": _CARD,
    },
    ("post", "/v1/embeddings"): {
        "curl": f"""curl {_HERE}/v1/embeddings {_JSON} -d '{{"input": ["a dog on a beach"]}}'""",
        "Python": f"""{_CLIENT}
found = client.embeddings.create(model="", input=["a dog on a beach", "a cat"])
print(found.data[0].embedding)""",
    },
    ("get", "/v1/models"): {
        "curl": f"curl {_HERE}/v1/models",
        "Python": f"{_CLIENT}print([model.id for model in client.models.list()])",
    },
    ("post", "/api/search"): {
        "curl": f"""curl {_HERE}/api/search {_JSON} -d '{{"text": "a red dress", "k": 5}}'""",
        "Python": _post("/api/search", '{"text": "a red dress", "k": 5}'),
    },
    ("post", "/api/sights"): {
        "curl": f"""curl {_HERE}/api/sights {_JSON} -d '{{"ids": [1, 2]}}'""",
        "Python": _post("/api/sights", '{"ids": [1, 2]}'),
    },
    ("post", "/api/seen"): {
        "curl": f"""\
printf '{{"caption": "a note on a desk", "image": "data:image/png;base64,%s"}}' \\
  "$(base64 < note.png | tr -d '\\n')" |
curl {_HERE}/api/seen {_JSON} -d @-""",
        "Python": "import base64\n"
        + _post(
            "/api/seen",
            '{\n    "caption": "a note on a desk",\n    "image": "data:image/png;base64,"\n'
            '    + base64.b64encode(open("note.png", "rb").read()).decode(),\n}',
        ),
    },
    ("post", "/api/forget"): {
        "curl": f"""curl {_HERE}/api/forget {_JSON} -d '{{"last": 3600}}'""",
        "Python": _post("/api/forget", '{"last": 3600}'),
    },
    ("post", "/api/index"): {
        "curl": f"""curl {_HERE}/api/index {_JSON} -d '{{"folder": "~/Pictures"}}'""",
        "Python": _post("/api/index", '{"folder": "~/Pictures"}'),
    },
    ("delete", "/api/index"): {"curl": f"curl -X DELETE {_HERE}/api/index"},
    ("post", "/api/folders"): {
        "curl": f"""curl {_HERE}/api/folders {_JSON} -d '{{"path": "~"}}'""",
        "Python": _post("/api/folders", '{"path": "~"}'),
    },
    ("post", "/api/duplicates"): {
        "curl": f"""curl {_HERE}/api/duplicates {_JSON} -d '{{"threshold": 0.96}}'""",
        "Python": _post("/api/duplicates", '{"threshold": 0.96}'),
    },
    ("delete", "/api/duplicates"): {"curl": f"curl -X DELETE {_HERE}/api/duplicates"},
    ("get", "/api/photo/{number}"): {"curl": f"curl '{_HERE}/api/photo/1?side=512' -o photo.jpg"},
    ("post", "/api/classify"): {
        "curl": _SORT,
        "Python": "import base64\n"
        + _post(
            "/api/classify",
            '{\n    "image": "data:image/png;base64,"\n'
            '    + base64.b64encode(open("note.png", "rb").read()).decode(),\n'
            '    "labels": ["a note", "a dog", "a car"],\n}',
        ),
    },
}


def examples(verb: str, path: str, here: str) -> dict[str, str]:
    """Language -> what to type, for a server at the address `here`; "curl" at least for a get."""
    known = _EXAMPLES.get((verb, path), {})
    if not known and verb == "get":
        known = {"curl": f"curl {_HERE}{path}"}
    return {language: text.replace(_HERE, here) for language, text in known.items()}
