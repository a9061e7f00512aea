"""Version 2 to 3: own documents as peers are told of them, statements spoilt by a key given away, peers met again."""

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
CREATE TABLE reintroductions (
  member TEXT NOT NULL,
  document {bytes} NOT NULL,
  phrase TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member)
)
"""


def migrate(conn: Connection) -> None:
    """Bring the tables of version 2 to version 3: three more, empty."""
    for statement in _SCRIPT.format(**_TYPES[conn.dialect.name]).split(";\n"):
        conn.exec_driver_sql(statement.strip())
