"""The people's pages: the desk, objects, peers. They work without scripts and are live with them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal, cast
from urllib.parse import quote, urlencode

import msgspec
from litestar import Request, Response, Router, get
from litestar.datastructures import CacheControlHeader, ResponseHeader
from litestar.datastructures import State as AppState
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Redirect, Stream, Template
from litestar.static_files import create_static_files_router
from litestar.template import TemplateConfig
from sqlalchemy import Connection

from lezha.access.rights import Principal, Right
from lezha.detection.lookup import lookups, refang
from lezha.federation.members import Members
from lezha.flows import about, desk, explain, look, names
from lezha.flows.desk import Gist, Gists
from lezha.flows.errors import FlowError
from lezha.flows.look import Listed, ObjectReport
from lezha.flows.witness import Witness
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.node.links import Links
from lezha.sharing.terms import Terms
from lezha.stix.lines import State
from lezha.store import contents, looks, search
from lezha.store.contents import Purge
from lezha.store.log import Log
from lezha.store.search import Page, Said
from lezha.web import forms, rendering, words
from lezha.web.asked import LEVELS, Asked
from lezha.web.auth import needs, question, still_valid, who
from lezha.web.live import Board, Boards
from lezha.web.problems import told

_ROWS: Final = 50
_SHOWN_BYTES: Final = 256 * 1024
_Request = Request[Principal, str, Any]


class Row(msgspec.Struct, frozen=True):
    """One object in the list, by the first statement about it; `more` statements say more.

    `about` names what a sighting saw or a relationship ties together, `ends`, which have no name of their own.
    """

    found: Listed
    exercise: bool
    expired: bool
    terms: Terms | None
    origin: str
    at: str
    more: int
    about: str
    ends: tuple[str, ...]


class Version(msgspec.Struct, frozen=True):
    """One version of an object. `recalls` are by statement; `pretty` is None if it is too long to show, or purged."""

    found: Listed
    disputed: str
    purged: Purge | None
    exercise: bool
    statements: tuple[tuple[Said, Terms], ...]
    recalls: Mapping[str, look.Recall]
    explained: explain.Version
    observables: tuple[tuple[str, str, bool], ...]
    names: tuple[tuple[str, str | None], ...]
    pretty: str | None
    size: int


async def boards(
    state: AppState,
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
    request: _Request,
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    witness: NamedDependency[Witness],
) -> Template:
    """Show how the links are and what happens."""
    board = await boards.latest()
    await witness.saw(who(request), "desk", "", board.shown)
    return rendered(request, identity, "desk.html", stream=True, board=board)


@get("/peers", guards=[needs(Right.LOOK)])
async def show_peers(
    request: _Request, identity: NamedDependency[Identity], boards: NamedDependency[Boards]
) -> Template:
    """Show the peers and whom to call."""
    board = await boards.latest()
    return rendered(request, identity, "peers.html", stream=True, board=board)


@get("/live", guards=[needs(Right.LOOK)])
async def stream(
    request: _Request,
    boards: NamedDependency[Boards],
    witness: NamedDependency[Witness],
    page: FromQuery[Literal["desk", "peers"]] = "desk",
) -> Stream:
    """Send what changes on a page, for as long as its reader is signed in."""

    async def saw(board: Board) -> None:
        if page == "desk":
            await witness.saw(who(request), "desk", "", board.shown)

    return Stream(
        boards.stream(page, partial(still_valid, request), saw),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@get("/objects", guards=[needs(Right.LOOK)])
async def find_objects(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    members: NamedDependency[Members],
    boards: NamedDependency[Boards],
    witness: NamedDependency[Witness],
    q: FromQuery[str] = "",
    value: FromQuery[str] = "",
    text: FromQuery[str] = "",
    type: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    origin: FromQuery[str] = "",
    id: FromQuery[str] = "",  # noqa: A002  # the name in the query string
    label: FromQuery[str] = "",
    marking: FromQuery[str] = "",
    tlp: FromQuery[str] = "",
    creator: FromQuery[str] = "",
    ref: FromQuery[str] = "",
    sighted: FromQuery[str] = "",
    revoked: FromQuery[str] = "",
    since: FromQuery[str] = "",
    until: FromQuery[str] = "",
    modified_since: FromQuery[str] = "",
    modified_until: FromQuery[str] = "",
    before: Annotated[int, QueryParameter(ge=0, le=1 << 62)] = 0,
) -> Template | Redirect:
    """List objects, newest first; the whole state is in the URL."""
    if q.strip():
        return Redirect(f"/objects?{urlencode(_read(q))}", status_code=303)
    asked = Asked(
        refang(value), text.strip(), type, origin.strip(), id.strip(), label.strip(), marking.strip(), tlp,
        creator.strip(), ref.strip(), sighted, revoked, since.strip(), until.strip(), modified_since.strip(),
        modified_until.strip(),
    )  # fmt: skip
    own = identity.known.document

    def work() -> tuple[dict[str, Any], frozenset[int]]:
        with log.read() as conn:
            found, fault = _found(
                conn, asked, before, partial(names.member, conn, own.member, members), boards.gists
            )
            shown = {
                **found,
                "fault": fault,
                "types": search.count_by_type(conn),
                "parties": desk.parties(conn, own),
                "circles": desk.circles(conn),
            }
            return shown, _restricted(conn, found["rows"])

    shown, restricted = await asyncio.to_thread(work)
    await witness.saw(who(request), "page of objects", question(request), restricted)
    page = rendered(request, identity, "objects.html", levels=LEVELS, **shown)
    page.status_code = 422 if page.context["fault"] else None
    return page


@get("/about", guards=[needs(Right.LOOK)])
async def show_about(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    witness: NamedDependency[Witness],
    value: FromQuery[str] = "",
) -> Template:
    """Show everything about a value, group by group."""
    own, now, written = identity.known.document, utc_now(), refang(value)

    def work() -> tuple[dict[str, Any], frozenset[int]]:
        with log.read() as conn:
            found = about.about(conn, written)
            groups = [(one, _rows(conn, one.objects, boards.gists, now)) for one in found.groups]
            parties, circles = desk.parties(conn, own), desk.circles(conn)
            restricted = _restricted(conn, [row for _, rows in groups for row in rows])
        return {"found": found, "groups": groups, "parties": parties, "circles": circles}, restricted

    shown, restricted = await asyncio.to_thread(work)
    await witness.saw(who(request), "page about a value", written, restricted)
    return rendered(request, identity, "about.html", written=written, **shown)


@get("/objects/{stix_id:str}", guards=[needs(Right.LOOK)])
async def show_object(
    request: _Request,
    log: NamedDependency[Log],
    identity: NamedDependency[Identity],
    boards: NamedDependency[Boards],
    witness: NamedDependency[Witness],
    stix_id: FromPath[str],
) -> Template:
    """Show all that is known of an object."""
    own = identity.known.document

    def work() -> tuple[dict[str, Any], frozenset[int]]:
        now = utc_now()
        with log.read() as conn:
            parties = desk.parties(conn, own)
            explained = explain.explain(conn, own.member, stix_id, now).versions
            versions = [
                _version(conn, one, why, boards.gists)
                for one, why in zip(look.object_report(conn, stix_id), explained, strict=True)
            ]
            shown = {
                "versions": versions,
                "newest": _counting(versions),
                "parties": parties,
                "circles": desk.circles(conn),
                "titles": {party.peer: party.title for party in parties.values()},
                "sightings": desk.sightings_of(conn, stix_id, boards.gists),
                "reports": search.naming(conn, stix_id, sightings=True),
                "naming": _rows(conn, look.listed(conn, search.naming(conn, stix_id)), boards.gists, now),
            }
            return shown, _restricted_of_object(conn, shown)

    shown, restricted = await asyncio.to_thread(work)
    await witness.saw(who(request), "page of an object", stix_id, restricted)
    return rendered(request, identity, "object.html", **shown)


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


def rendered(
    request: _Request,
    identity: Identity,
    template: str,
    *,
    stream: bool = False,
    **context: Any,
) -> Template:
    """Return a page with what every page shows."""
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
    meant = refang(written)
    kind, dashes, rest = meant.partition("--")
    if dashes and kind and rest and " " not in meant:
        return {"id": meant}
    return {"value": meant} if lookups(meant) else {"text": written.strip()}


def _found(
    conn: Connection, asked: Asked, before: int, member: Callable[[str], str], gists: Gists
) -> tuple[dict[str, Any], str]:
    """Return what the list shows of a search, and what is wrong with it in a sentence, or nothing."""
    try:
        meant, fault = asked.meant(member), ""
        page = look.search_objects(conn, meant.query(before, _ROWS), meant.value)
    except FlowError as error:
        meant, fault, page = asked, str(error), Page([], 0)
    state = {name: given for name, given in msgspec.structs.asdict(meant).items() if given}
    shown = {
        "asked": meant,
        "filtered": bool(state),
        "rows": _rows(conn, look.listed(conn, page.found), gists, utc_now()),
        "unfinished": page.next and len(page.found) < _ROWS,
        "about": f"/about?{urlencode({'value': meant.value})}" if not fault and lookups(meant.value) else "",
        "older": f"/objects?{urlencode(state | {'before': page.next})}" if page.next else "",
        "newest": f"/objects?{urlencode(state)}" if before and not fault else "",
    }
    return shown, fault


def _rows(conn: Connection, found: Sequence[Listed], gists: Gists, now: str) -> list[Row]:
    said = search.said_about(conn, [one.hash for one in found])
    known = gists.of(conn, [one.hash for one in found])
    named = search.names(conn, [ref for gist in known.values() for ref in _ends(gist)])
    came = search.came(conn, [one.seq for one in found if one.hash not in said])
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
                at=first.at if first else came.get(one.seq, ""),
                more=max(0, len(statements) - 1),
                about=" → ".join(words.short(named.get(ref, "") or ref) for ref in _ends(known[one.hash])),
                ends=tuple(_ends(known[one.hash])),
            )
        )
    return rows


def _restricted(conn: Connection, rows: Sequence[Row]) -> frozenset[int]:
    """Return what rows show of objects above GREEN: those that are listed, and those that are named beside them."""
    return looks.restricted(conn, (row.found.hash for row in rows), {ref for row in rows for ref in row.ends})


def _restricted_of_object(conn: Connection, shown: dict[str, Any]) -> frozenset[int]:
    """Return what the page of an object shows of objects above GREEN."""
    hashes = [one.found.hash for one in shown["versions"]] + [one.hash for one in shown["reports"]]
    ids = {ref for one in shown["versions"] for ref, name in one.names if name is not None}
    ids |= {key for one in shown["sightings"] for key in one.ids}
    return looks.restricted(conn, hashes, ids) | _restricted(conn, shown["naming"])


def _ends(gist: Gist) -> list[str]:
    return [ref for ref in (gist.sighting_of_ref, gist.source_ref, gist.target_ref) if ref]


def _counting(versions: Sequence[Version]) -> Version:
    """Return the version by which an object is named: the one that counts, else what came last and has its bytes."""
    counting = (one for one in versions if one.found.state in (State.CURRENT, State.REVOKED))
    readable = (one for one in versions if one.purged is None)
    return next(counting, next(readable, versions[0]))


def _version(conn: Connection, report: ObjectReport, explained: explain.Version, gists: Gists) -> Version:
    content = report.found.hash
    raw = b"" if report.purged else contents.raw(conn, content)
    named = search.named_by(conn, content)
    held = search.names(conn, named)
    return Version(
        found=report.found,
        disputed=report.disputed,
        purged=report.purged,
        exercise=gists.of(conn, [content])[content].exercise,
        statements=tuple((said, msgspec.json.decode(said.terms, type=Terms)) for said in report.statements),
        recalls={one.statement: one for one in report.recalls},
        explained=explained,
        observables=tuple(search.observables(conn, content)),
        names=tuple((one, held.get(one)) for one in named),
        # Only white space is put between the tokens; the tokens stay as they are signed.
        pretty=msgspec.json.format(raw, indent=2).decode() if 0 < len(raw) <= _SHOWN_BYTES else None,
        size=len(raw),
    )


def to_sign_in(request: Request[Any, Any, Any], error: NotAuthorizedException) -> Response[Any]:
    """Lead a browser without a session to where it signs in, and back."""
    if "text/html" not in request.headers.get("accept", ""):
        return told(request, error.status_code, error.detail, headers=error.headers)
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    here = f"?next={quote(asked)}" if request.method == "GET" and asked != "/" else ""
    return Redirect(f"/sign-in{here}", status_code=303)


router = Router(
    path="/",
    route_handlers=[
        forms.sign_in_form, forms.sign_in, forms.sign_out, show_desk, show_peers, stream, find_objects, show_about,
        show_object,
    ],
    dependencies={"boards": Provide(boards)},
    exception_handlers={NotAuthorizedException: to_sign_in},
    # With no-referrer browsers send `Origin: null` with forms, which same-origin checks refuse (Fetch, "append a
    # request Origin header").
    response_headers=[ResponseHeader(name="Referrer-Policy", value="same-origin")],
    include_in_schema=False,
)  # fmt: skip
