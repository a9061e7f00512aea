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
)

VERSION: Final = 1

metadata: Final = MetaData()

_HASH = String(64)

meta: Final = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text))

events: Final = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

contents: Final = Table(
    "contents",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("stix_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("creator", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("markings", Text, nullable=False, comment="JSON list of the TLP levels of its own markings"),
    Column("unreadable_marking", Boolean, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("unmatched", Text, nullable=False, comment="why a live sensor can't match it; empty if it can"),
    Column("valid_until", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Index("contents_by_id", "stix_id", "version"),
    Index("contents_by_type", "type", "seq"),
    Index("contents_by_seq", "seq"),
)

observables: Final = Table(
    "observables",
    metadata,
    Column("kind", String(12), primary_key=True),
    Column("value", Text, primary_key=True),
    Column("content", ForeignKey("contents.hash"), primary_key=True),
    Column("anchor", Boolean, nullable=False, comment="named by a pattern, but not enough to report it"),
    Index("observables_by_content", "content"),
)

refs: Final = Table(
    "refs",
    metadata,
    Column("target", Text, primary_key=True),
    Column("content", ForeignKey("contents.hash"), primary_key=True),
)

statements: Final = Table(
    "statements",
    metadata,
    Column("hash", _HASH, primary_key=True),
    Column("content", ForeignKey("contents.hash"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("own", Boolean, nullable=False),
    Column("terms", Text, nullable=False),
    Column("issued", String(27), nullable=False),
    Column("at", String(27), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("statements_by_content", "content"),
    Index("statements_by_seq", "seq"),
)

companions: Final = Table(
    "companions",
    metadata,
    Column("statement", ForeignKey("statements.hash"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", ForeignKey("contents.hash"), nullable=False),
)

arrivals: Final = Table(
    "arrivals",
    metadata,
    Column("statement", ForeignKey("statements.hash"), primary_key=True),
    Column("member", Text, primary_key=True),
    Column("at", String(27), nullable=False),
)

rosters: Final = Table(
    "rosters",
    metadata,
    Column("community", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("hash", _HASH, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("expires", String(27), nullable=False),
    Column("members", Text, nullable=False, comment="JSON: identity id -> roster number that admitted it"),
    Column("envelope", LargeBinary, nullable=False),
    Column("at", String(27), nullable=False),
)

admissions: Final = Table(
    "admissions",
    metadata,
    Column("community", Text, primary_key=True),
    Column("member", Text, primary_key=True),
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
)

invitations: Final = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", _HASH, nullable=False),
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
    Column("ref", _HASH, nullable=False),
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

withheld: Final = Table(
    "withheld",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("statement", ForeignKey("statements.hash"), primary_key=True),
    Column("own", Boolean, nullable=False),
    Column("reason", String(24), nullable=False),
    Column("at", String(27), nullable=False),
    Index("withheld_by_reason", "recipient", "own", "reason"),
)

cursors: Final = Table(
    "cursors",
    metadata,
    Column("recipient", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
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
)

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("role", String(12), nullable=False),
    Column("digest", _HASH, nullable=False),
    Column("created", String(27), nullable=False),
    Column("revoked", Boolean, nullable=False),
)
