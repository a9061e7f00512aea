"""What is wrong with the parameters or the body of a request, in plain words."""

import difflib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, ValidationException
from litestar.handlers import BaseRouteHandler
from litestar.typing import FieldDefinition
from msgspec import inspect

_MISSING: Final = re.compile(r"Missing required query parameter '(\w+)'")
_BOUNDS: Final = ("ge", "le", "min_length", "max_length")
_NOUNS: Final[Mapping[type[inspect.Type], str]] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.StrType: "text",
    inspect.DictType: "an object",
}


class BodyRequest(Request[Any, Any, Any]):
    """A request whose body may be anything: what Litestar's own lets through as errors of this node is its sender's."""

    async def json(self) -> Any:
        """Return what is in the body. Raises ClientException."""
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            raise ClientException("The body is not UTF-8, as JSON must be.") from error
        except RecursionError as error:
            raise ClientException("The body nests too deep.") from error


async def only_known(request: Request[Any, Any, Any]) -> None:
    """Refuse query parameters that the route does not have: a slip of the pen must not look like an answer."""
    known = sorted(_fields(request.route_handler))
    unknown = sorted(set(request.query_params) - set(known))
    if not unknown:
        return
    name = unknown[0][:60]
    near = difflib.get_close_matches(name, known, 1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are {', '.join(known)}."
        if known
        else "there are none."
    )
    raise ClientException(f"There is no parameter {name!r} here: {hint}")


def sentence(request: Request[Any, Any, Any], error: ValidationException) -> str:
    """Say which parameter is wrong, or which part of the body, and what it must be."""
    if missing := _MISSING.match(error.detail):
        return f"The parameter {missing[1]!r} is missing."
    for one in error.extra if isinstance(error.extra, list) else []:
        key, message = str(one.get("key", "")), str(one.get("message", ""))
        fields = _fields(request.route_handler)
        if key in fields:
            return f"The parameter {key!r} must be {_rule(_type(fields[key]))}."
        if one.get("source") == "body":
            return _of_body(request.route_handler, key, message)
    return error.detail


def _of_body(handler: BaseRouteHandler, key: str, message: str) -> str:
    if missing := re.match(r"Object missing required field `(.+?)`", message):
        return f"The body has no {missing[1]!r}."
    if unknown := re.match(r"Object contains unknown field `(.+?)`", message):
        return f"The body has {unknown[1]!r}, which means nothing here."
    name = key.partition("[")[0]
    data = handler.parsed_data_field
    known = inspect.type_info(data.annotation) if data is not None else None
    for field in known.fields if isinstance(known, inspect.StructType) else ():
        if field.encode_name == name:
            return f"{name!r} in the body must be {_rule(field.type)}."
    return "The body must be a JSON object."


def _fields(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """Return the query parameters of a route, by name."""
    apart = {"request", "data", *handler.resolve_dependencies()}
    paths = " ".join(handler.paths)
    return {
        name: field
        for name, field in handler.parsed_fn_signature.parameters.items()
        if name not in apart and f"{{{name}:" not in paths
    }


def _type(field: FieldDefinition) -> inspect.Type:
    kwarg = field.kwarg_definition
    bounds = {name: value for name in _BOUNDS if (value := getattr(kwarg, name, None)) is not None}
    return inspect.type_info(
        Annotated[field.annotation, msgspec.Meta(**bounds)] if bounds else field.annotation
    )


def _rule(kind: inspect.Type) -> str:
    """Say what a value of a type must be."""
    if isinstance(kind, inspect.Metadata):
        return _rule(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _rule(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    if isinstance(kind, inspect.EnumType):
        return f"one of {', '.join(str(one.value) for one in kind.cls)}"
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return f"a list of {_range(kind.min_length, kind.max_length) or _rule(kind.item_type)}"
    if isinstance(kind, inspect.StrType) and kind.max_length is not None:
        return f"text of {kind.max_length:,} letters at most"
    noun = _NOUNS.get(type(kind), "something else")
    bounds = _range(kind.ge, kind.le) if isinstance(kind, inspect.IntType | inspect.FloatType) else ""
    return f"{noun} from {bounds}" if bounds else noun


def _range(least: float | None, most: float | None) -> str:
    return f"{least or 0:,} to {most:,}" if most is not None else ""
