"""The people's pages: the desk, objects, peers. They work without scripts and are live with them."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import CacheControlHeader, ResponseHeader, State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Stream, Template
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from sqlalchemy import Connection

from lezha.access.rights import Principal, Right
from lezha.detection.lookup import lookups
from lezha.flows import about, desk, look
from lezha.flows.desk import Gist, Gists
from lezha.flows.look import Listed, ObjectReport
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.node.links import Links
from lezha.sharing.terms import Terms
from lezha.stix.lines import State as Standing
from lezha.store import contents, search, tokens
from lezha.store.log import Log
from lezha.store.search import Found, Query, Said
from lezha.web import forms, rendering, words
from lezha.web.auth import Sessions, needs
from lezha.web.live import Boards
from lezha.web.problems import told

_ROWS: Final = 50
_SHOWN_BYTES: Final = 256 * 1024
_Request = Request[Principal, str, Any]


class Asked(msgspec.Struct, frozen=True):
    """What the form of the objects page says."""

    value: str = ""
    text: str = ""
    type: str = ""
    origin: str = ""
    id: str = ""
    label: str = ""
    tlp: str = ""
    creator: str = ""
    ref: str = ""
    sighted: str = ""
    since: str = ""
    until: str = ""

    @property
    def further(self) -> bool:
        """True if a condition is set that the form keeps folded away."""
        return any((self.label, self.tlp, self.creator, self.ref, self.sighted, self.since, self.until))


class Row(msgspec.Struct, frozen=True):
    """One object in the list, by the first statement about it; `more` statements say more.

    `about` names what a sighting saw or a relationship ties together, which have no name of their own.
    """

    found: Found | Listed
    exercise: bool
    expired: bool
    terms: Terms | None
    origin: str
    at: str
    more: int
    about: str
    state: Standing


class Version(msgspec.Struct, frozen=True):
    """One version of an object. `pretty` is None if it is too long to show."""

    found: Found
    exercise: bool
    statements: tuple[tuple[Said, Terms], ...]
    told: tuple[look.Told, ...]
    observables: tuple[tuple[str, str, bool], ...]
    names: tuple[tuple[str, str | None], ...]
    pretty: str | None
    size: int
    state: Standing
    purge: contents.PurgeRecord | None


async def boards(
    state: State,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    links: NamedDependency[Links],
    changes: NamedDependency[Changes],
) -> Boards:
    """Return the boards of this application, made when the first page asks."""
    if "boards" not in state:
        state["boards"] = Boards(log, identity.known.document, links, changes)
    return cast(Boards, state["boards"])


@get("/", guards=[needs(Right.LOOK)])
async def show_desk(
    request: _Request, identity: NamedDependency[Identity], boards: NamedDependency[Boards]
) -> Template:
    """Show how the links are and what happens."""
    board = await boards.latest()
    return _page(request, identity, "desk.html", stream=True, board=board)


@get("/peers", guards=[needs(Right.LOOK)])
async def show_peers(
    request: _Request, identity: NamedDependency[Identity], boards: NamedDependency[Boards]
) -> Template:
    """Show the peers and whom to call."""
    board = await boards.latest()
    return _page(request, identity, "peers.html", stream=True, board=board)


@get("/live", guards=[needs(Right.LOOK)])
async def stream(
    request: _Request,
    log: NamedDependency[Log],
    sessions: NamedDependency[Sessions],
    boards: NamedDependency[Boards],
    page: FromQuery[Literal["desk", "peers"]] = "desk",
) -> Stream:
    """Send what changes on a page, for as long as its reader is signed in."""
    user, key = request.user, request.cookies.get(sessions.cookie, "")
    by_session = request.auth == "session"

    def may_stay() -> bool:
        if by_session:
            present = sessions.principal(key)
            return present is not None and present.id == user.id
        with log.read() as conn:
            kept = tokens.get(conn, user.id)
        return kept is not None and not kept.revoked

    return Stream(
        boards.stream(page, may_stay), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


@get("/objects", guards=[needs(Right.LOOK)])
async def find_objects(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    q: Annotated[str, QueryParameter(max_length=2000)] = "",
    value: Annotated[str, QueryParameter(max_length=2000)] = "",
    text: Annotated[str, QueryParameter(max_length=2000)] = "",
    type: Annotated[str, QueryParameter(max_length=250)] = "",  # noqa: A002  # the name in the query string
    origin: Annotated[str, QueryParameter(max_length=250)] = "",
    id: Annotated[str, QueryParameter(max_length=250)] = "",  # noqa: A002  # the name in the query string
    label: Annotated[str, QueryParameter(max_length=250)] = "",
    tlp: Annotated[str, QueryParameter(max_length=20)] = "",
    creator: Annotated[str, QueryParameter(max_length=250)] = "",
    ref: Annotated[str, QueryParameter(max_length=250)] = "",
    sighted: Annotated[str, QueryParameter(max_length=5)] = "",
    since: Annotated[str, QueryParameter(max_length=40)] = "",
    until: Annotated[str, QueryParameter(max_length=40)] = "",
    before: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
) -> Template | Redirect:
    """List objects, newest first; the whole state is in the URL."""
    if q.strip():
        return Redirect(f"/objects?{urlencode(_read(q))}", status_code=303)
    asked = Asked(
        words.refang(value), text.strip(), type, origin, id.strip(), label.strip(), tlp, creator, ref.strip(),
        sighted, since, until,
    )  # fmt: skip
    query = Query(
        id=asked.id,
        type=asked.type,
        text=asked.text,
        origin=asked.origin,
        label=asked.label,
        tlp=asked.tlp,
        creator=asked.creator,
        ref=asked.ref,
        sighted={"yes": True, "no": False}.get(asked.sighted),
        since=_day(asked.since),
        until=_day(asked.until),
        before=before,
        limit=_ROWS,
    )
    own, now = identity.known.document, utc_now()

    def work() -> dict[str, Any]:
        with log.read() as conn:
            page = look.search_objects(conn, query, asked.value)
            return {
                "rows": _rows(conn, page.found, boards.gists, now),
                "older": page.next,
                "unfinished": page.next and len(page.found) < _ROWS,
                "types": search.count_by_type(conn),
                "parties": desk.parties(conn, own),
                "circles": desk.circles(conn),
            }

    context = await asyncio.to_thread(work)
    state = {name: given for name, given in msgspec.structs.asdict(asked).items() if given}
    older = context.pop("older")
    return _page(
        request,
        identity,
        "objects.html",
        asked=asked,
        filtered=bool(state),
        older=f"/objects?{urlencode(state | {'before': older})}" if older else "",
        newest=f"/objects?{urlencode(state)}" if before else "",
        **context,
    )


@get("/about", guards=[needs(Right.LOOK)])
async def about_value(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    value: Annotated[str, QueryParameter(max_length=2000)] = "",
) -> Template:
    """Show everything about a value."""
    own, now = identity.known.document, utc_now()

    def work() -> dict[str, Any]:
        with log.read() as conn:
            found = about.about(conn, words.refang(value))
            return {
                "about": found,
                "groups": [(group, _rows(conn, group.objects, boards.gists, now)) for group in found.groups],
                "parties": desk.parties(conn, own),
                "circles": desk.circles(conn),
            }

    return _page(request, identity, "about.html", **await asyncio.to_thread(work))


@get("/objects/{stix_id:str}", guards=[needs(Right.LOOK)])
async def show_object(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    stix_id: FromPath[str],
) -> Template:
    """Show all that is known of an object."""
    own = identity.known.document

    def work() -> dict[str, Any]:
        now = utc_now()
        with log.read() as conn:
            parties = desk.parties(conn, own)
            versions = [_version(conn, one, boards.gists) for one in look.object_report(conn, stix_id)]
            return {
                "versions": versions,
                "newest": versions[0],
                "parties": parties,
                "circles": desk.circles(conn),
                "titles": {party.peer: party.title for party in parties.values()},
                "sightings": desk.sightings_of(conn, stix_id, boards.gists),
                "reports": search.naming(conn, stix_id, sightings=True),
                "naming": _rows(conn, search.naming(conn, stix_id), boards.gists, now),
            }

    return _page(request, identity, "object.html", **await asyncio.to_thread(work))


def static_files() -> Router:
    """Return the route of what pages load."""
    return create_static_files_router(
        path="/static",
        directories=[rendering.STATIC],
        cache_control=CacheControlHeader(no_cache=True),
        include_in_schema=False,
    )


def templates() -> TemplateConfig[JinjaTemplateEngine]:
    """Return how Litestar finds the templates."""
    return TemplateConfig(instance=JinjaTemplateEngine(engine_instance=rendering.ENVIRONMENT))


def _page(
    request: _Request,
    identity: Identity,
    template: str,
    *,
    stream: bool = False,
    **context: Any,
) -> Template:
    document = identity.known.document
    titles = [document.title, *(party.title for party in context.get("parties", {}).values())]
    shown = {
        "node": document,
        "user": request.user,
        "here": request.url.path,
        "now": utc_now(),
        "stream": stream,
        "scripts": rendering.live(),
        "own": document.member,
    }
    if "board" in context:
        titles += context["board"].titles
    return Template(
        template, context={**shown, **context, "footnote": any("Kosovo*" in title for title in titles)}
    )


def _read(written: str) -> dict[str, str]:
    """Return the form's field for what was written into the one box: an id, a value, or else words."""
    meant = words.refang(written)
    kind, dashes, rest = meant.partition("--")
    if dashes and kind and rest and " " not in meant:
        return {"id": meant}
    return {"value": meant} if lookups(meant) else {"text": written.strip()}


def _day(written: str) -> str:
    """Return the beginning, in UTC, of the day that a form names; of anything else nothing."""
    try:
        return f"{dt.date.fromisoformat(written)}T00:00:00.000000Z"
    except ValueError:
        return ""


def _rows(conn: Connection, found: Sequence[Found | Listed], gists: Gists, now: str) -> list[Row]:
    said = search.said_about(conn, [one.hash for one in found])
    known = gists.of(conn, [one.hash for one in found])
    named = search.names(conn, [ref for gist in known.values() for ref in _ends(gist)])
    states = {one.hash: one.state for one in look.listed(conn, found)}
    rows = []
    for one in found:
        statements = said.get(one.hash, [])
        first = statements[0] if statements else None
        rows.append(
            Row(
                found=one,
                exercise=known[one.hash].exercise,
                expired=bool(one.valid_until) and one.valid_until <= now,
                terms=msgspec.json.decode(first.terms, type=Terms) if first else None,
                origin=first.origin if first else "",
                at=first.at if first else "",
                more=max(0, len(statements) - 1),
                state=states[one.hash],
                about=" → ".join(words.short(named.get(ref, "") or ref) for ref in _ends(known[one.hash])),
            )
        )
    return rows


def _ends(gist: Gist) -> list[str]:
    return [ref for ref in (gist.sighting_of_ref, gist.source_ref, gist.target_ref) if ref]


def _version(conn: Connection, report: ObjectReport, gists: Gists) -> Version:
    content = report.found.hash
    raw = contents.bytes_of(conn, [content]).get(content)
    (listed,) = look.listed(conn, [report.found])
    named = search.named_by(conn, content)
    held = search.names(conn, named)
    return Version(
        found=report.found,
        exercise=gists.of(conn, [content])[content].exercise,
        statements=tuple((said, msgspec.json.decode(said.terms, type=Terms)) for said in report.statements),
        told=report.told,
        observables=tuple(search.observables(conn, content)),
        names=tuple((one, held.get(one)) for one in named),
        # Only white space is put between the tokens; the tokens stay as they are signed.
        pretty=msgspec.json.format(raw, indent=2).decode() if raw and len(raw) <= _SHOWN_BYTES else None,
        size=len(raw or b""),
        state=listed.state,
        purge=contents.purge_of(conn, content),
    )


def _to_sign_in(request: Request[Any, Any, Any], error: NotAuthorizedException) -> Response[Any]:
    if "text/html" not in request.headers.get("accept", ""):
        return told(request, error.status_code, error.detail, headers=error.headers)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    here = f"?next={quote(asked)}" if request.method == "GET" and asked != "/" else ""
    return Redirect(f"/sign-in{here}", status_code=303)


router = Router(
    path="/",
    route_handlers=[
        forms.sign_in_form, forms.sign_in, forms.sign_out, show_desk, show_peers, stream, find_objects,
        about_value, show_object,
    ],
    dependencies={"boards": Provide(boards)},
    exception_handlers={NotAuthorizedException: _to_sign_in},
    # With no-referrer browsers send `Origin: null` with forms, which same-origin checks refuse (Fetch, "append a
    # request Origin header").
    response_headers=[ResponseHeader(name="Referrer-Policy", value="same-origin")],
    include_in_schema=False,
)  # fmt: skip
