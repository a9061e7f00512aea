"""The TAXII 2.1 server: what a client may have, by the specification's own paths. `docs/taxii.md` has its rules."""

import asyncio
import time
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotAuthorizedException
from litestar.params import FromPath

from lezha.access.rights import Principal, Right, Role
from lezha.federation.members import Members
from lezha.flows import deposit as depositing
from lezha.flows import offer
from lezha.flows.offer import Asked, Page, Shelving
from lezha.flows.publish import Author
from lezha.flows.witness import Witness
from lezha.node.changes import Changes
from lezha.node.clock import utc_now
from lezha.node.identity import Identity
from lezha.node.node import Node
from lezha.sharing import shelves as rule
from lezha.sharing.release import Recipient, Standing
from lezha.sharing.tlp import Tlp
from lezha.store import communities, constituents, statuses
from lezha.store.errors import NotFound
from lezha.store.log import Log
from lezha.store.offers import ALL, INBOX
from lezha.taxii import dates, filters, media, paging, resources
from lezha.taxii.errors import TaxiiError
from lezha.taxii.filters import Filters
from lezha.taxii.resources import (
    ApiRoot,
    Collection,
    Collections,
    Discovery,
    Manifest,
    ManifestRecord,
    Versions,
)
from lezha.web.auth import check_still_valid, needs, question, who

PATH: Final = "/taxii2"
ROOT: Final = f"{PATH}/node"
_ID: Final = "{collection:str}"
_FIRST, _LAST = "X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"
_PER_SECOND, _AT_ONCE = 100.0, 500.0
"""Requests of one client: so many in the long run, and so many at once after a rest."""
_Request = Request[Principal, str, State]


class Server(NamedTuple):
    """What the routes need of the node, for all of them at once."""

    log: Log
    decisive: Changes
    shelving: Shelving
    witness: Witness
    paces: "Paces"


class Paces:
    """How fast each client asks. To be used within one event loop."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def enter(self, client: str, now: float) -> None:
        """Count a request. Raises HTTPException with how long to wait if there were too many."""
        left, at = self._left.get(client, (_AT_ONCE, now))
        left = min(_AT_ONCE, left + (now - at) * _PER_SECOND)
        if left < 1:
            raise HTTPException(
                status_code=429,
                detail=f"More than {_PER_SECOND:.0f} requests a second: ask again a little later.",
                headers={"Retry-After": "1"},
            )
        self._left[client] = (left - 1, now)


class Client(NamedTuple):
    """Who asks, as a recipient, with a clearance and a name by which it posts."""

    name: str
    recipient: Recipient
    posts: bool

    def collection(self, alias: str, title: str, *, can_write: bool = False) -> Collection:
        """Return one of this client's collections."""
        whose = offer.inbox_of(self.name) if can_write else self.recipient.id
        return Collection(resources.collection_id(whose, alias), title, True, can_write, alias=alias)


def server(node: Node) -> Server:
    """Return what the routes need of a node; both listeners share one."""
    return Server(node.log, node.decisive, Shelving(node.log), node.witness, Paces())


async def only_taxii(request: Request[Any, Any, Any]) -> None:
    """Refuse who can't read the answer, or asks too fast. Raises HTTPException."""
    if not media.is_accepted(request.headers.get("accept", "")):
        raise HTTPException(status_code=406, detail=f"Answers are {media.TAXII}: ask for that in Accept.")
    user: Principal | None = request.scope.get("user")  # not there for OPTIONS, which Litestar answers itself
    if user is not None:
        request.app.state.taxii.paces.enter(user.name, time.monotonic())


def _server(request: _Request) -> Server:
    found: Server = request.app.state.taxii
    return found


def _client(request: _Request) -> Client:
    """Return as which recipient the principal asks."""
    user = request.user
    if user.role is Role.SYSTEM:
        level = user.clearance or Tlp.CLEAR
        # All own systems of a clearance may have the same, and have one view.
        recipient = Recipient(id=f"own:{level.value}", standing=Standing.OWN, clearance=level)
        return Client(user.name, recipient, user.may(Right.POST))
    try:
        with _server(request).log.read() as conn:
            return Client(user.name, constituents.by_name(conn, user.name).recipient(), False)
    except NotFound:
        raise NotAuthorizedException("There is no such client any more.") from None


def _answer(body: object, **headers: str) -> Response[bytes]:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Response(raw, media_type=media.TAXII, headers=headers)


@get("/", guards=[needs(Right.COLLECT)])
async def discovery(request: _Request, identity: NamedDependency[Identity]) -> Response[bytes]:
    """Say what this server is and where its API root is (TAXII 2.1 §4.1)."""
    document = identity.known.document
    root = f"{str(request.base_url).rstrip('/')}{ROOT}/"
    return _answer(Discovery(title=document.title or document.name, default=root, api_roots=(root,)))


@get("/node/", guards=[needs(Right.COLLECT)])
async def api_root(identity: NamedDependency[Identity], longest: NamedDependency[int]) -> Response[bytes]:
    """Describe the API root (§4.2)."""
    document = identity.known.document
    return _answer(ApiRoot(title=document.title or document.name, max_content_length=longest))


@get("/node/status/{status:str}/", guards=[needs(Right.COLLECT)])
async def status(request: _Request, status: FromPath[str]) -> Response[bytes]:
    """Return what became of a request to add objects (§4.3)."""
    with _server(request).log.read() as conn:
        return _answer(statuses.get(conn, status, request.user.name))


@get("/node/collections/", guards=[needs(Right.COLLECT)])
async def list_collections(request: _Request) -> Response[bytes]:
    """Return the client's collections (§5.1)."""
    found = await _collections(request, _client(request))
    return _answer(Collections(tuple(one for _, one in found)))


@get(f"/node/collections/{_ID}/", guards=[needs(Right.COLLECT)])
async def show_collection(request: _Request, collection: FromPath[str]) -> Response[bytes]:
    """Return one of the client's collections, by its id or its alias (§5.2)."""
    _, found = await _find(request, _client(request), collection)
    return _answer(found)


@get(f"/node/collections/{_ID}/manifest/", guards=[needs(Right.COLLECT)])
async def manifest(
    request: _Request,
    collection: FromPath[str],
) -> Response[bytes]:
    """Say which objects are in a collection since when, without them (§5.3)."""
    place, page = await _page(request, collection)
    records = tuple(
        ManifestRecord(one.id, dates.write(one.at), dates.short(one.version)) for one in page.items
    )
    return _answer(Manifest(bool(page.following), _next(page, place), records), **_dates(page))


@get(f"/node/collections/{_ID}/objects/", guards=[needs(Right.COLLECT)])
async def list_objects(
    request: _Request,
    collection: FromPath[str],
) -> Response[bytes]:
    """Return objects of a collection in the order in which they came there (§5.4)."""
    place, page = await _page(request, collection, with_bytes=True)
    return _answer(resources.envelope([one.raw for one in page.items], _next(page, place)), **_dates(page))


@get(f"/node/collections/{_ID}/objects/{{object_id:str}}/", guards=[needs(Right.COLLECT)])
async def show_object(
    request: _Request, collection: FromPath[str], object_id: FromPath[str]
) -> Response[bytes]:
    """Return versions of one object (§5.6)."""
    place, page = await _page(request, collection, object_id, with_bytes=True)
    return _answer(resources.envelope([one.raw for one in page.items], _next(page, place)), **_dates(page))


@get(f"/node/collections/{_ID}/objects/{{object_id:str}}/versions/", guards=[needs(Right.COLLECT)])
async def list_versions(
    request: _Request, collection: FromPath[str], object_id: FromPath[str]
) -> Response[bytes]:
    """Say which versions of one object there are (§5.8)."""
    place, page = await _page(request, collection, object_id, every_version=True)
    told = tuple(dates.short(one.version) for one in page.items)
    return _answer(Versions(bool(page.following), _next(page, place), told), **_dates(page))


@post(f"/node/collections/{_ID}/objects/", guards=[needs(Right.COLLECT)], status_code=202)
async def add_objects(
    request: _Request,
    author: NamedDependency[Author],
    members: NamedDependency[Members],
    collection: FromPath[str],
) -> Response[bytes]:
    """Take objects as the client's word, durable when this is answered (§5.5)."""
    if not media.is_taxii(request.headers.get("content-type", "")):
        raise HTTPException(status_code=415, detail=f"Send objects as {media.TAXII}.")
    client = _client(request)
    _, found = await _find(request, client, collection)
    _check_writable(found)
    raw = await request.body()
    check_still_valid(request)
    answer = await depositing.deposit(_server(request).log, members, author.member, raw, client.name)
    return Response(answer, status_code=202, media_type=media.TAXII)


@delete(f"/node/collections/{_ID}/objects/{{object_id:str}}/", guards=[needs(Right.COLLECT)], status_code=200)
async def delete_object(
    request: _Request, collection: FromPath[str], object_id: FromPath[str]
) -> Response[bytes]:
    """Take back what the client itself has brought and nobody has published (§5.7)."""
    client = _client(request)
    _, found = await _find(request, client, collection)
    _check_writable(found)
    asked = request.query_params.get("match[version]", "")
    versions = filters.versions(frozenset(asked.split(",") if asked else ["all"]))
    try:
        await depositing.withdraw(_server(request).log, client.name, object_id, versions)
    except depositing.Published as error:
        raise TaxiiError(403, str(error)) from None
    return Response(b"", status_code=200, media_type=media.TAXII)


def _check_writable(found: Collection) -> None:
    if not found.can_write:
        raise TaxiiError(
            403, f"Nothing can be changed in this collection: {INBOX!r} takes objects, of own systems."
        )


async def _page(
    request: _Request,
    collection: str,
    object_id: str = "",
    *,
    with_bytes: bool = False,
    every_version: bool = False,
) -> tuple[str, Page]:
    """Return the place of a list, and a page of it that is in the log as looked at (`flows.witness`)."""
    server, client = _server(request), _client(request)
    shelf, found = await _find(request, client, collection)
    place = f"{found.id} {object_id}"
    wanted = filters.read(request.query_params.multi_items(), place)
    if object_id:
        wanted = msgspec.structs.replace(wanted, ids=frozenset({object_id}))
    if every_version:
        wanted = msgspec.structs.replace(wanted, versions=filters.Versions(all=True))
    asked = Asked(client.recipient, shelf, wanted, with_bytes)
    page = await _read(server, client, asked)
    if object_id and not page.items and not await _exists(server, client, asked):
        raise NotFound("There is no such object in this collection.")
    check_still_valid(request)
    told = frozenset(one.content for one in page.items)
    await server.witness.saw(who(request), "taxii", f"{shelf}?{question(request)}", told)
    return place, page


async def _read(server: Server, client: Client, asked: Asked) -> Page:
    serial = server.decisive.serial
    if asked.shelf == INBOX:
        await server.shelving.brought(client.name, serial)
        return await asyncio.to_thread(offer.inbox, server.log, client.name, asked, utc_now())
    is_all = await server.shelving.given(client.recipient, serial)
    page = await asyncio.to_thread(offer.page, server.log, asked, utc_now())
    if not is_all and page.items and not page.following:
        return msgspec.structs.replace(page, following=page.items[-1].at)
    return page


async def _exists(server: Server, client: Client, asked: Asked) -> bool:
    """True if some version of the object that is asked for is there, whatever else is asked."""
    any_of_it = Filters(ids=asked.filters.ids, versions=filters.Versions(all=True), limit=1)
    page = await _read(server, client, msgspec.structs.replace(asked, filters=any_of_it, with_bytes=False))
    return bool(page.items)


def _next(page: Page, place: str) -> str:
    return paging.write(page.following, place) if page.following else ""


def _dates(page: Page) -> dict[str, str]:
    if not page.items:
        return {}
    return {_FIRST: dates.write(page.items[0].at), _LAST: dates.write(page.items[-1].at)}


async def _find(request: _Request, client: Client, wanted: str) -> tuple[str, Collection]:
    """Return the shelf and the collection of this id or alias. Raises NotFound, also if it is another client's."""
    for shelf, found in _fixed(client):
        if wanted in (found.id, found.alias):
            return shelf, found
    for shelf, found in await _collections(request, client):
        if wanted in (found.id, found.alias):
            return shelf, found
    raise NotFound("There is no such collection.")


def _fixed(client: Client) -> list[tuple[str, Collection]]:
    """Return the collections that a client has whatever it was given, with their shelves."""
    found = []
    if client.recipient.standing is Standing.OWN:
        level = client.recipient.clearance.value
        found.append((ALL, client.collection(ALL, f"All that this node holds, up to TLP:{level.upper()}")))
    if client.posts:
        title = "What this client has posted and nobody has published yet"
        found.append((INBOX, client.collection(INBOX, title, can_write=True)))
    return found


async def _collections(request: _Request, client: Client) -> list[tuple[str, Collection]]:
    """Return all collections of a client with their shelves: those by community and level hold what it was given."""
    server = _server(request)
    await server.shelving.given(client.recipient, server.decisive.serial)
    shelves = await asyncio.to_thread(offer.names, server.log, client.recipient)
    with server.log.read() as conn:
        titles = {one.id: one.name for one in communities.current(conn).values()}
    found = _fixed(client)
    taken: set[str] = {one.alias for _, one in found}
    for shelf in sorted(set(shelves) - {ALL, INBOX}):
        alias, title = _named(shelf, titles)
        if alias in taken:  # two communities may have one name
            alias = shelf.replace(" ", "-")
        taken.add(alias)
        found.append((shelf, client.collection(alias, title)))
    return found


def _named(shelf: str, titles: dict[str, str]) -> tuple[str, str]:
    """Return the alias and the title of a shelf."""
    whom, _, level = shelf.rpartition(" ")
    label, tail = f"TLP:{level.upper()}", level.replace("+", "-")
    if not whom:
        return tail, label
    if whom == rule.EVERYONE:
        return f"everyone-{tail}", f"Published to everyone, {label}"
    if whom == rule.NAMED:
        return f"named-{tail}", f"Published to members by name, {label}"
    name = titles.get(whom, whom)
    return f"{name.lower().replace(' ', '-')}-{tail}", f"Published to {name}, {label}"


router: Final = Router(
    path=PATH,
    before_request=only_taxii,
    route_handlers=[
        discovery,
        api_root,
        status,
        list_collections,
        show_collection,
        manifest,
        list_objects,
        show_object,
        list_versions,
        add_objects,
        delete_object,
    ],
)
