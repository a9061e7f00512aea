"""Version 2 to 3: own documents, statements spoilt by a key given away, peers met again and their lives, files."""

from typing import Final

from sqlalchemy import Connection

_TYPES: Final = {
    "sqlite": {"number": "INTEGER", "bytes": "BLOB"},
    "postgresql": {"number": "BIGINT", "bytes": "BYTEA"},
}
_SCRIPT: Final = """
CREATE TABLE documents (
  seq {number} NOT NULL,
  digest {bytes} NOT NULL,
  number INTEGER NOT NULL,
  envelope {bytes} NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE UNIQUE INDEX documents_by_digest ON documents (digest);
CREATE TABLE discredited (
  statement {number} NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (statement),
  FOREIGN KEY(statement) REFERENCES statements (seq)
);
CREATE TABLE carried (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient)
);
CREATE TABLE incarnations (
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (member, incarnation)
);
CREATE TABLE reintroductions (
  member TEXT NOT NULL,
  document {bytes} NOT NULL,
  phrase TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member)
)
"""

# Those of before have no event; the one that sent last was seen last.
_LIVES: Final = """
INSERT INTO incarnations (member, incarnation, seq)
SELECT member, incarnation, ROW_NUMBER() OVER (PARTITION BY member ORDER BY at, incarnation) FROM inbound
"""


def migrate(conn: Connection) -> None:
    """Bring the tables of version 2 to version 3: five more, of which one tells which life of a peer was seen last."""
    for statement in _SCRIPT.format(**_TYPES[conn.dialect.name]).split(";\n"):
        conn.exec_driver_sql(statement.strip())
    conn.exec_driver_sql(_LIVES)
