"""What the OpenAPI document says beyond what Litestar reads off the routes: tokens, raw bodies, what goes wrong."""

import copy
from collections.abc import Iterator
from typing import Any, Final

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin

_PROBLEM: Final = {
    "type": "object",
    "title": "Problem",
    "description": "Why something was not done, in a sentence for whoever asked.",
    "required": ["title"],
    "properties": {
        "title": {"type": "string"},
        "code": {"type": "string", "description": "Why a roster or another signed envelope was refused."},
        "rejected": {
            "type": "array",
            "description": "Of a bundle of which nothing was taken: why, object by object.",
            "items": {"$ref": "#/components/schemas/Rejected"},
        },
        "warnings": {
            "type": "array",
            "description": "Of what was stopped by a warning: all that there were.",
            "items": {"$ref": "#/components/schemas/Caution"},
        },
    },
}
_WORDS: Final = {
    400: "A parameter or the body can't be read, or there is no such parameter.",
    401: "No valid token was shown.",
    403: "The token may not do this.",
    404: "There is no such thing on this node.",
    405: "This address can't be used in that way.",
    409: "What is there already contradicts it.",
    413: "The body is larger than this node takes.",
    422: "It was understood, and can't be done as it stands.",
    502: "The other node can't be reached, or answers nonsense.",
    503: "This node can't do it now.",
    507: "The disk of this node is full.",
}
_ALWAYS: Final = (400, 401, 403, 405, 503)
_ON_CHANGES: Final = (404, 409, 413, 422, 507)
_BUNDLE: Final = "A STIX 2.1 bundle. Objects are kept byte for byte as they are in it."
_ROSTER: Final = "A roster in its signed envelope."
_BODIES: Final = {
    "/api/v1/publish": _BUNDLE,
    "/api/v1/objects": _BUNDLE,
    "/api/v1/carry/read": "One record of a carried file, without its length (docs/link.md, Carried files).",
    "/api/v1/communities/sign": _ROSTER,
    "/api/v1/communities/accept": _ROSTER,
    "/api/v1/communities/review": _ROSTER,
    "/api/v1/sensor/reports": "A batch of reports: `id`, `taken` (when), and up to 1,000 `reports`.",
}


class Described(JsonRenderPlugin):
    """The OpenAPI document as JSON, with what `described` adds."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document."""
        return super().render(request, described(openapi_schema))


def described(document: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document with the bearer tokens, the bodies that are read raw, and the errors of each route."""
    made = copy.deepcopy(document)
    made["components"]["schemas"]["Problem"] = _PROBLEM
    made["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    made["security"] = [{"bearer": []}]
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            for status in sorted(_errors(method, path, operation)):
                operation["responses"][str(status)] = _error(status)
            if method == "post" and path in _BODIES:
                operation["requestBody"] = _body(_BODIES[path])
    return made


def _errors(method: str, path: str, operation: dict[str, Any]) -> Iterator[int]:
    yield from _ALWAYS
    if method == "post":
        yield from _ON_CHANGES
    if operation.get("parameters"):
        yield from (404, 422)
    if path == "/api/v1/peers/accept":
        yield 502


def _error(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _WORDS[status], "content": {"application/json": {"schema": schema}}}


def _body(words: str) -> dict[str, Any]:
    return {
        "required": True,
        "description": words,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
