"""The application for people and tools."""

from typing import Final

from litestar import Litestar
from litestar.datastructures import ResponseHeader, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig

import lezha
from lezha.flows.offer import Shelving
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


def app(node: Node) -> Litestar:
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
        middleware=[sourced, DefineMiddleware(Authentication)],
        dependencies={
            "log": Provide(lambda: node.log, sync_to_thread=False),
            "identity": Provide(lambda: node.identity, sync_to_thread=False),
            "carrier": Provide(lambda: node.carrier, sync_to_thread=False),
            "author": Provide(lambda: node.author, sync_to_thread=False),
            "members": Provide(lambda: node.members, sync_to_thread=False),
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
            "longest": Provide(lambda: node.settings.max_bundle_bytes, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        logging_config=None,
        request_class=BodyRequest,
        state=State(
            {
                "log": node.log,
                "sessions": sessions,
                "witness": node.witness,
                "attendance": attendance,
                "taxii": taxii.Server(
                    node.log, node.decisive, Shelving(node.log), node.witness, taxii.Paces()
                ),
            }
        ),
        response_headers=[ResponseHeader(name=name, value=value) for name, value in _HEADERS.items()],
        openapi_config=OpenAPIConfig(
            title="lezha", version=lezha.__version__, path="/api", render_plugins=[Described()]
        ),
        request_max_body_size=node.settings.max_bundle_bytes,
        template_config=pages.templates(),
    )
