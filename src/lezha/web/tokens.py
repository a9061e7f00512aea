"""Tokens over HTTP: made, listed, revoked."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from lezha.access import names
from lezha.access import tokens as access_tokens
from lezha.access.rights import Principal, Right, Role
from lezha.flows.errors import FlowError
from lezha.node import tools
from lezha.node.errors import NodeError
from lezha.sharing.tlp import Tlp
from lezha.store import certificates, tokens
from lezha.store.log import Log
from lezha.web.auth import needs

_Request = Request[Principal, str, Any]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a token; `clearance` is for an own system, up to which TLP it may have objects."""

    name: str
    role: Role
    clearance: Tlp | None = None


class Revoke(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a token to be revoked."""

    name: str


class NewCertificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a certificate (PEM) to be bound to the token of that name."""

    name: str
    pem: Annotated[str, msgspec.Meta(max_length=65_536)]


@post("/tokens", guards=[needs(Right.TOKENS)], status_code=200)
async def new_token(request: _Request, log: NamedDependency[Log], data: JSONBody[NewToken]) -> dict[str, str]:
    """Make a token and return it: the only time it is shown."""
    if not names.is_plain(data.name):
        raise FlowError(f"{data.name[:100]!r} can't name a token: {names.RULE}.")
    if data.role is Role.CONSTITUENT:
        raise FlowError("A constituent gets its token when it is admitted: `lezha constituent admit`.")
    if (data.clearance is None) is (data.role is Role.SYSTEM):
        raise FlowError(
            "An own system (role system) needs a clearance: clear, green, amber, strict or red. Nobody else has one."
        )
    made = access_tokens.mint()
    by = request.user.name
    await log.write(
        lambda tx: tokens.add(tx, made.id, data.name, data.role, made.digest, by, clearance=data.clearance)
    )
    return {"name": data.name, "role": data.role.value, "token": made.text}


@post("/tokens/certificate", guards=[needs(Right.TOKENS)], status_code=200)
async def bind_certificate(
    request: _Request, log: NamedDependency[Log], data: JSONBody[NewCertificate]
) -> dict[str, str]:
    """Bind a tool's certificate to a token: at the listener for tools it may what the token may."""
    try:
        fingerprint, der = tools.read(data.pem.encode())
    except NodeError as error:
        raise FlowError(str(error)) from None
    await log.write(lambda tx: certificates.add(tx, data.name, fingerprint, der, request.user.name))
    return {"name": data.name, "fingerprint": fingerprint}


@get("/tokens", guards=[needs(Right.TOKENS)])
async def list_tokens(log: NamedDependency[Log]) -> list[dict[str, str]]:
    """Return whose tokens there are, with what they may do; the tokens themselves are not kept."""
    with log.read() as conn:
        kept = tokens.listed(conn)
    return [
        {
            "name": one.name,
            "role": one.role.value,
            "created": one.created,
            "clearance": one.clearance.value if one.clearance else "",
            "state": "revoked" if one.revoked else "valid",
        }
        for one in kept
    ]


@post("/tokens/revoke", guards=[needs(Right.TOKENS)], status_code=200)
async def revoke_token(
    request: _Request, log: NamedDependency[Log], data: JSONBody[Revoke]
) -> dict[str, str]:
    """Revoke a token at once, whatever its name."""
    return await _revoke(log, data.name, request.user.name)


@post("/tokens/{name:str}/revoke", guards=[needs(Right.TOKENS)], status_code=200)
async def revoke_token_by_path(
    request: _Request, log: NamedDependency[Log], name: FromPath[str]
) -> dict[str, str]:
    """Revoke a token at once whose name can be part of a path."""
    return await _revoke(log, name, request.user.name)


async def _revoke(log: Log, name: str, actor: str) -> dict[str, str]:
    await log.write(lambda tx: tokens.revoke(tx, name, actor))
    return {"name": name, "state": "revoked"}


routes: Final[list[HTTPRouteHandler]] = [
    new_token,
    bind_certificate,
    list_tokens,
    revoke_token,
    revoke_token_by_path,
]
