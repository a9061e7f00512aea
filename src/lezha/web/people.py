"""The application for people and tools."""

from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import ResponseHeader, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig

import lezha
from lezha.node.node import Node
from lezha.web import api, audit, constituents, held, pages, sensors, taxii
from lezha.web.auth import Attendance, Authentication, Sessions
from lezha.web.description import Described
from lezha.web.metrics import Metrics, show_metrics
from lezha.web.parameters import BodyRequest
from lezha.web.problems import HANDLERS
from lezha.web.source import sourced

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def app(node: Node, taxii_server: taxii.Server | None = None) -> Litestar:
    """Return the application of the listener for people and tools."""
    # Cookies don't know ports (RFC 6265 §8.5): two nodes on one machine must not share one, all processes of one do.
    attendance: Attendance = {}
    metrics = Metrics(node, attendance)
    sessions = Sessions(f"lezha_{node.identity.member.partition('--')[2][:8]}", node.log)
    return Litestar(
        route_handlers=[
            api.router,
            audit.router,
            sensors.router,
            constituents.router,
            taxii.router,
            pages.router,
            held.router,
            show_metrics,
            pages.static_files(),
        ],
        dependencies={
            **_common(node),
            "identity": Provide(lambda: node.identity, sync_to_thread=False),
            "carrier": Provide(lambda: node.carrier, sync_to_thread=False),
            "convener": Provide(lambda: node.convener, sync_to_thread=False),
            "receiver": Provide(lambda: node.receiver, sync_to_thread=False),
            "host": Provide(lambda: node.host, sync_to_thread=False),
            "links": Provide(lambda: node.links, sync_to_thread=False),
            "changes": Provide(lambda: node.changes, sync_to_thread=False),
            "decisive": Provide(lambda: node.decisive, sync_to_thread=False),
            "retention": Provide(lambda: node.settings.retention, sync_to_thread=False),
            "sessions": Provide(lambda: sessions, sync_to_thread=False),
            "sealer": Provide(lambda: node.sealer, sync_to_thread=False),
            "metrics": Provide(lambda: metrics, sync_to_thread=False),
            "witness": Provide(lambda: node.witness, sync_to_thread=False),
        },
        state=_state(node, sessions, attendance, taxii_server or taxii.server(node)),
        openapi_config=OpenAPIConfig(
            title="lezha", version=lezha.__version__, path="/api", render_plugins=[Described()]
        ),
        template_config=pages.templates(),
        **_settled(node),
    )


def tools_app(node: Node, taxii_server: taxii.Server) -> Litestar:
    """Return the application of the listener for tools that speak TAXII, and nothing else."""
    return Litestar(
        route_handlers=[taxii.router],
        dependencies=_common(node) | {"identity": Provide(lambda: node.identity, sync_to_thread=False)},
        state=_state(node, Sessions("", node.log), {}, taxii_server),
        openapi_config=None,
        **_settled(node),
    )


def _common(node: Node) -> dict[str, Provide]:
    return {
        "log": Provide(lambda: node.log, sync_to_thread=False),
        "author": Provide(lambda: node.author, sync_to_thread=False),
        "members": Provide(lambda: node.members, sync_to_thread=False),
        "longest": Provide(lambda: node.settings.max_bundle_bytes, sync_to_thread=False),
    }


def _state(node: Node, sessions: Sessions, attendance: Attendance, taxii_server: taxii.Server) -> State:
    return State(
        {
            "log": node.log,
            "sessions": sessions,
            "witness": node.witness,
            "attendance": attendance,
            "taxii": taxii_server,
        }
    )


def _settled(node: Node) -> dict[str, Any]:
    """Return what both applications have in common."""
    return {
        "middleware": [sourced, DefineMiddleware(Authentication)],
        "exception_handlers": HANDLERS,
        "logging_config": None,
        "request_class": BodyRequest,
        "response_headers": [ResponseHeader(name=name, value=value) for name, value in _HEADERS.items()],
        "request_max_body_size": node.settings.max_bundle_bytes,
    }
