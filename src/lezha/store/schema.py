"""The tables, the same on SQLite and PostgreSQL."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

VERSION: Final = 3


class Hex(TypeDecorator[str]):
    """A SHA-256: 64 hexadecimal digits for Python, 32 bytes in the database."""

    impl = LargeBinary(32)
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> bytes | None:
        """Give the database bytes."""
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> str | None:
        """Give Python digits."""
        return None if value is None else value.hex()


metadata: Final = MetaData()

# Compared byte by byte on both engines, so that ranges of keys are the same on both.
_KEY: Final = Text().with_variant(Text(collation="C"), "postgresql")
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
_DERIVED: Final = {"derived": True}
_PASSING: Final = {"passing": True}

meta: Final = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text))

sequencer: Final = Table(
    "sequencer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False, comment="always 1: there is one row"),
    Column("seq", BigInteger, nullable=False, comment="of the last event"),
    Column("at", String(27), nullable=False, comment="of the last commit"),
    Column("chain", LargeBinary(32), nullable=False, comment="of the last event"),
    Column("epoch", BigInteger, nullable=False, comment="rises whenever another process takes the lead"),
)

events: Final = Table(
    "events",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column(
        "source", String(64), nullable=False, comment="from where the actor asked; empty for the node itself"
    ),
    Column("detail", Text, nullable=False),
    Column("chain", LargeBinary(32), nullable=False, comment="SHA-256 of the chain before and of this event"),
)

contents: Final = Table(
    "contents",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("hash", Hex, nullable=False),
    Column("stix_id", _KEY, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("markings", Text, nullable=False, comment="JSON list of the TLP levels of its own markings"),
    Column("unreadable_marking", Boolean, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("unmatched", Text, nullable=False, comment="why a live sensor can't match it; empty if it can"),
    Column("valid_until", Text, nullable=False),
    Index("contents_by_hash", "hash", unique=True),
    Index("contents_by_id", "stix_id", "version"),
    Index("contents_by_type", "type", "seq"),
    Index("contents_by_creator", "creator", "seq"),
)

bodies: Final = Table(
    "bodies",
    metadata,
    Column("content", _NUMBER, ForeignKey("contents.seq"), primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False),
)

observables: Final = Table(
    "observables",
    metadata,
    Column("kind", String(12), primary_key=True),
    Column("value", _KEY, primary_key=True, comment="as store.keys writes it"),
    Column("content", _NUMBER, primary_key=True),
    Column("anchor", Boolean, nullable=False, comment="named by a pattern, but not enough to report it"),
    Index("observables_by_content", "content"),
    sqlite_with_rowid=False,
    info=_DERIVED,
)

refs: Final = Table(
    "refs",
    metadata,
    Column("target", _KEY, primary_key=True),
    Column("content", _NUMBER, primary_key=True),
    Index("refs_by_content", "content"),
    sqlite_with_rowid=False,
    info=_DERIVED,
)

tags: Final = Table(
    "tags",
    metadata,
    Column("kind", String(8), primary_key=True, comment="label, or marking (the id of a marking definition)"),
    Column("value", _KEY, primary_key=True),
    Column("content", _NUMBER, primary_key=True),
    Index("tags_by_content", "content"),
    sqlite_with_rowid=False,
    info=_DERIVED,
)

posts: Final = Table(
    "posts",
    metadata,
    Column("content", _NUMBER, ForeignKey("contents.seq"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Index("posts_by_seq", "seq"),
    Index("posts_by_actor", "actor", "seq"),
)

seconds: Final = Table(
    "seconds",
    metadata,
    Column("content", _NUMBER, ForeignKey("contents.seq"), primary_key=True, autoincrement=False),
    Column("actor", Text, primary_key=True, comment="who has brought it too, after the one in posts"),
    Column("seq", BigInteger, nullable=False),
    Column("at", String(27), nullable=False),
    Index("seconds_by_actor", "actor", "seq"),
)

retractions: Final = Table(
    "retractions",
    metadata,
    Column("seq", _NUMBER, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("content", BigInteger, nullable=False, comment="by which somebody does not stand any more"),
    Column("actor", Text, nullable=False),
    Index("retractions_by_content", "content"),
)

statements: Final = Table(
    "statements",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("hash", Hex, nullable=False),
    Column("content", _NUMBER, ForeignKey("contents.seq"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("own", Boolean, nullable=False),
    Column("terms", Text, nullable=False),
    Column("issued", String(27), nullable=False),
    Column("at", String(27), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("statements_by_hash", "hash", unique=True),
    Index("statements_by_content", "content"),
    Index("statements_by_origin", "origin", "content"),
)

reached: Final = Table(
    "reached",
    metadata,
    Column("whom", Text, primary_key=True, comment="everyone, or the id of a community or a member"),
    Column(
        "tlp", String(12), primary_key=True, comment="of a statement by which this member published to it"
    ),
    Column("at", String(27), nullable=False, comment="when it did so first"),
)

companions: Final = Table(
    "companions",
    metadata,
    Column("statement", _NUMBER, ForeignKey("statements.seq"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", _NUMBER, ForeignKey("contents.seq"), nullable=False),
)

arrivals: Final = Table(
    "arrivals",
    metadata,
    Column("statement", _NUMBER, ForeignKey("statements.seq"), primary_key=True),
    Column("member", Text, primary_key=True),
    Column("at", String(27), nullable=False),
)

tombstones: Final = Table(
    "tombstones",
    metadata,
    Column("seq", _NUMBER, primary_key=True, autoincrement=False),
    Column("hash", Hex, nullable=False),
    Column("statement", Hex, nullable=False, comment="may not be held here, or not yet"),
    Column("member", Text, nullable=False, comment="who signed; it counts if that is the statement's origin"),
    Column("issued", String(27), nullable=False),
    Column("why", Text, nullable=False),
    Column("sender", Text, nullable=False, comment="the peer that it came from; empty if it was made here"),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
    Index("tombstones_by_statement", "statement", "member", unique=True),
    Index("tombstones_by_hash", "hash", unique=True),
    Index("tombstones_by_sender", "sender"),
)

discredited: Final = Table(
    "discredited",
    metadata,
    Column("statement", _NUMBER, ForeignKey("statements.seq"), primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
)

disputes: Final = Table(
    "disputes",
    metadata,
    Column("stix_id", _KEY, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("creator", _KEY, primary_key=True, comment="who signed two contents of that version"),
    Column("at", String(27), nullable=False),
)

substances: Final = Table(
    "substances",
    metadata,
    Column("content", _NUMBER, ForeignKey("contents.seq"), primary_key=True, autoincrement=False),
    Column(
        "substance",
        Hex,
        nullable=False,
        comment="SHA-256 of the canonical form of the bytes, also once purged",
    ),
)

purges: Final = Table(
    "purges",
    metadata,
    Column("content", _NUMBER, ForeignKey("contents.seq"), primary_key=True, autoincrement=False),
    Column("why", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", String(27), nullable=False),
)

rosters: Final = Table(
    "rosters",
    metadata,
    Column("community", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("expires", String(27), nullable=False),
    Column("members", Text, nullable=False, comment="JSON: identity id -> roster number that admitted it"),
    Column("until", Text, nullable=False, comment="JSON: identity id -> end of a membership for a time"),
    Column("came_from", Text, nullable=False, comment="the peer that sent it; empty if it was accepted here"),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
    Index("rosters_by_sender", "came_from"),
)

admissions: Final = Table(
    "admissions",
    metadata,
    Column("community", Text, primary_key=True),
    Column("member", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, comment="of the roster that admits it"),
    Column("at", String(27), nullable=False),
)

roster_conflicts: Final = Table(
    "roster_conflicts",
    metadata,
    Column("community", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", String(64), primary_key=True, comment="of the roster that was refused"),
    Column("held", String(64), nullable=False, comment="of the roster that stays in force"),
    Column("came_from", Text, nullable=False, comment="the peer that sent it; empty if it was brought here"),
    Column("at", String(27), nullable=False),
)

floors: Final = Table(
    "floors",
    metadata,
    Column("community", Text, primary_key=True),
    Column("member", Text, primary_key=True, comment="who signed statements by a later roster than is here"),
    Column("number", Integer, nullable=False, comment="the highest number of a roster that it signed by"),
    Column("at", String(27), nullable=False),
)

policies: Final = Table(
    "policies",
    metadata,
    Column(
        "seq", _NUMBER, primary_key=True, autoincrement=False, comment="of the event by which it is in force"
    ),
    Column("hash", String(64), nullable=False, comment="of its text; empty if none is in force from here on"),
    Column("text", Text, nullable=False),
    Column("at", String(27), nullable=False),
)

peers: Final = Table(
    "peers",
    metadata,
    Column("member", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("phrase", Text, nullable=False),
    Column("clearance", String(12), nullable=False),
    Column("since", String(27), nullable=False),
    Column("number", Integer, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("trust", String(12), nullable=False, comment="what its indicators are used for at most"),
    Column(
        "hourly", BigInteger, comment="objects that are taken from it in an hour; null as in the settings"
    ),
)

documents: Final = Table(
    "documents",
    metadata,
    Column("seq", _NUMBER, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("digest", Hex, nullable=False, comment="of this node's own document"),
    Column("number", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("documents_by_digest", "digest", unique=True),
)

constituents: Final = Table(
    "constituents",
    metadata,
    Column("name", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("clearance", String(12), nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("since", String(27), nullable=False),
)

reintroductions: Final = Table(
    "reintroductions",
    metadata,
    Column("member", Text, primary_key=True, comment="a peer"),
    Column("document", LargeBinary, nullable=False, comment="to take the place of the peer's present one"),
    Column("phrase", Text, nullable=False),
    Column("at", String(27), nullable=False),
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("expires", String(27), nullable=False),
    Column("commitment", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("used_by", Text, nullable=False),
)

views: Final = Table(
    "views",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", String(12), nullable=False),
    Column("ref", Hex, nullable=False),
    Column("rule", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", String(27), nullable=False),
    Index("views_by_ref", "ref", "recipient"),
)

voids: Final = Table(
    "voids",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("reason", String(24), nullable=False),
    Column("at", String(27), nullable=False),
)

shelves: Final = Table(
    "shelves",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("recipient", Text, nullable=False, comment="whose collection it is"),
    Column(
        "name", Text, nullable=False, comment="all, inbox, or to whom its statements are and by which TLP"
    ),
    Index("shelves_by_name", "recipient", "name", unique=True),
)

offers: Final = Table(
    "offers",
    metadata,
    Column("shelf", Integer, primary_key=True),
    Column(
        "at", BigInteger, primary_key=True, comment="microseconds since 1970, unlike any other of the shelf"
    ),
    Column("content", BigInteger, nullable=False),
    Column(
        "statement", BigInteger, nullable=False, comment="by which it was given; 0 if it came without one"
    ),
    Column(
        "lane", Text, nullable=False, comment="the shelf and the object's type, as store.offers writes them"
    ),
    Column("several", Boolean, nullable=False, comment="there is or was more than this row of its object"),
    # SQLite, which keeps no statistics, prefers the primary key to any index that begins with the shelf.
    Index("offers_by_content", "content", "shelf"),
    Index("offers_by_lane", "lane", "at"),
    sqlite_with_rowid=False,
)

shelved: Final = Table(
    "shelved",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column(
        "number", BigInteger, nullable=False, comment="of the last row of its view that is on its shelves"
    ),
)

statuses: Final = Table(
    "statuses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Index("statuses_by_time", "at"),
)

withheld: Final = Table(
    "withheld",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("statement", Hex, primary_key=True),
    Column("own", Boolean, nullable=False),
    Column("reason", String(24), nullable=False),
    Column("at", String(27), nullable=False),
    Index("withheld_by_reason", "recipient", "own", "reason", "at"),
)

cursors: Final = Table(
    "cursors",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("again", BigInteger, comment="of the last statement decided anew; null if none is to be"),
    Column(
        "behind",
        BigInteger,
        comment="of the event before the first that is put off; null if none is",
    ),
    Column("until", BigInteger, nullable=False, comment="of the last that is put off"),
)

carried: Final = Table(
    "carried",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column(
        "number", BigInteger, nullable=False, comment="of the last frame that was written into a file for it"
    ),
    Column("at", String(27), nullable=False),
)

receipts: Final = Table(
    "receipts",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("head", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
)

refusals: Final = Table(
    "refusals",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("code", String(40), nullable=False),
    Column("at", String(27), nullable=False),
)

inbound: Final = Table(
    "inbound",
    metadata,
    Column("member", Text, primary_key=True),
    Column("incarnation", Text, primary_key=True),
    Column("head", BigInteger, nullable=False),
    Column("chain", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
)

incarnations: Final = Table(
    "incarnations",
    metadata,
    Column("member", Text, primary_key=True),
    Column("incarnation", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False, comment="of the event that it was seen first"),
)

quarantine: Final = Table(
    "quarantine",
    metadata,
    Column("member", Text, primary_key=True),
    Column("incarnation", Text, primary_key=True),
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("code", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
    Column("seq", BigInteger, nullable=False, comment="names it to people, and orders what was put aside"),
    Index("quarantine_by_seq", "seq", unique=True),
)

verdicts: Final = Table(
    "verdicts",
    metadata,
    Column("item", _NUMBER, primary_key=True, autoincrement=False, comment="the seq of what was put aside"),
    Column("verdict", String(12), nullable=False),
    Column("actor", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", String(27), nullable=False),
)

ahead: Final = Table(
    "ahead",
    metadata,
    Column("item", _NUMBER, primary_key=True, autoincrement=False, comment="the seq of what was put aside"),
    Column("member", Text, nullable=False),
    Column("dated", String(27), nullable=False, comment="what it is dated; empty until that was looked up"),
    Index("ahead_by_member", "member", "dated"),
    comment="what was put aside because it is dated ahead, and waits for its time and for nobody",
)
quarantined_ids: Final = Table(
    "quarantined_ids",
    metadata,
    Column("stix_id", _KEY, primary_key=True, comment="that the frame names, as far as it could be read"),
    Column("member", Text, primary_key=True),
    Column("incarnation", Text, primary_key=True),
    Column("number", _NUMBER, primary_key=True),
    Index("quarantined_ids_by_frame", "member", "incarnation", "number"),
    sqlite_with_rowid=False,
)

quarantine_sizes: Final = Table(
    "quarantine_sizes",
    metadata,
    Column("member", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False, comment="of the frames that are kept of what it sent"),
)

forgotten: Final = Table(
    "forgotten",
    metadata,
    Column("stix_id", _KEY, primary_key=True, comment="by which a frame that was put aside was destroyed"),
)

looks: Final = Table(
    "looks",
    metadata,
    Column("seq", _NUMBER, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("question", Text, nullable=False, comment="what was asked for"),
    Column(
        "contents",
        LargeBinary,
        nullable=False,
        comment="which contents were shown, as store.looks packs them",
    ),
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("seq", _NUMBER, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column(
        "at", String(27), nullable=False, comment="for which time of the schedule, or when it was asked for"
    ),
    Column("nonce", LargeBinary, nullable=False, comment="opens the commitment; empty if there is none"),
    Column("checkpoint", LargeBinary, nullable=False, comment="signed, says number and chain of an event"),
    Column("digest", String(64), nullable=False, comment="of the commitment; empty if there is none"),
    Column("commitment", LargeBinary, nullable=False, comment="signed, for peers: says neither"),
    Index("checkpoints_by_digest", "digest"),
)

kept_commitments: Final = Table(
    "kept_commitments",
    metadata,
    Column("member", Text, primary_key=True, comment="whose log it is about"),
    Column("at", String(27), primary_key=True, comment="for which time of its schedule"),
    Column("digest", String(64), nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("received", String(27), nullable=False),
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String(12), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created", String(27), nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("clearance", String(12), comment="of an own system; null for everybody else"),
)

certificates: Final = Table(
    "certificates",
    metadata,
    Column("fingerprint", Hex, primary_key=True, comment="SHA-256 of the certificate"),
    Column("token", Text, nullable=False, comment="by whose rights it is known"),
    Column("der", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("token", Text, nullable=False),
    Column("ends", String(27), nullable=False),
    info=_PASSING,
)

PURGED: Final = ("contents", "bodies", "observables", "refs", "tags", "texts", "quarantine")
"""The tables that purging takes something out of; `texts` is made by `store.texts`."""
