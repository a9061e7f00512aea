"""Constituents are admitted, cleared, suspended, and get their token."""

from lezha.access import names
from lezha.access import tokens as access_tokens
from lezha.access.rights import Role
from lezha.access.tokens import NewToken
from lezha.flows.errors import FlowError
from lezha.sharing.tlp import Tlp
from lezha.store import constituents, tokens
from lezha.store.constituents import Constituent
from lezha.store.log import Log, Tx

_MAX_TITLE = 200


async def admit(log: Log, name: str, title: str, clearance: Tlp, actor: str) -> NewToken:
    """Add a constituent and make its token. Raises FlowError, Conflict."""
    if not names.is_plain(name):
        raise FlowError(f"{name[:100]!r} can't name a constituent: {names.RULE}.")
    if len(title) > _MAX_TITLE or not title.isprintable():
        raise FlowError(f"A constituent's title is one line of at most {_MAX_TITLE} characters.")
    _check(clearance)
    made = access_tokens.mint()

    def work(tx: Tx) -> None:
        constituents.add(tx, name, title, clearance, actor)
        tokens.add(tx, made.id, name, Role.CONSTITUENT, made.digest, actor)

    await log.write(work)
    return made


async def renew(log: Log, name: str, actor: str) -> NewToken:
    """Make a new token for a constituent; the one before ends at once. Raises NotFound."""
    made = access_tokens.mint()

    def work(tx: Tx) -> None:
        constituents.by_name(tx.conn, name)
        tokens.replace(tx, made.id, name, Role.CONSTITUENT, made.digest, actor)

    await log.write(work)
    return made


async def change(
    log: Log, name: str, actor: str, *, clearance: Tlp | None = None, suspended: bool | None = None
) -> Constituent:
    """Change what a constituent may receive, from now on. Raises FlowError, NotFound."""
    changes: dict[str, object] = {}
    if clearance is not None:
        _check(clearance)
        changes["clearance"] = clearance.value
    if suspended is not None:
        changes["suspended"] = suspended

    def work(tx: Tx) -> Constituent:
        constituents.change(tx, name, actor, **changes)
        return constituents.by_name(tx.conn, name)

    return await log.write(work)


def _check(clearance: Tlp) -> None:
    # TLP 2.0: AMBER reaches clients; AMBER+STRICT stays inside the organisation, RED with individuals.
    if clearance.rank > Tlp.AMBER.rank:
        raise FlowError("A constituent can be cleared to clear, green or amber: more never goes to one.")
