CREATE TABLE admissions (
  community TEXT NOT NULL,
  member TEXT NOT NULL,
  number INTEGER NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, member, number)
);
CREATE TABLE constituents (
  name TEXT NOT NULL,
  title TEXT NOT NULL,
  clearance VARCHAR(12) NOT NULL,
  suspended BOOLEAN NOT NULL,
  since VARCHAR(27) NOT NULL,
  PRIMARY KEY (name)
);
CREATE TABLE contents (
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  stix_id TEXT NOT NULL,
  type TEXT NOT NULL,
  version TEXT NOT NULL,
  creator TEXT NOT NULL,
  name TEXT NOT NULL,
  markings TEXT NOT NULL,
  unreadable_marking BOOLEAN NOT NULL,
  revoked BOOLEAN NOT NULL,
  unmatched TEXT NOT NULL,
  valid_until TEXT NOT NULL,
  PRIMARY KEY (seq)
);
CREATE INDEX contents_by_creator ON contents (creator, seq);
CREATE UNIQUE INDEX contents_by_hash ON contents (hash);
CREATE INDEX contents_by_id ON contents (stix_id, version);
CREATE INDEX contents_by_type ON contents (type, seq);
CREATE TABLE cursors (
  recipient TEXT NOT NULL,
  seq BIGINT NOT NULL,
  again BIGINT,
  PRIMARY KEY (recipient)
);
CREATE TABLE disputes (
  stix_id TEXT NOT NULL,
  version TEXT NOT NULL,
  creator TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (stix_id, version, creator)
);
CREATE TABLE events (
  seq INTEGER NOT NULL,
  at VARCHAR(27) NOT NULL,
  kind VARCHAR(40) NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  source VARCHAR(64) NOT NULL,
  detail TEXT NOT NULL,
  chain BLOB NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE floors (
  community TEXT NOT NULL,
  member TEXT NOT NULL,
  number INTEGER NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, member)
);
CREATE TABLE forgotten (
  stix_id TEXT NOT NULL,
  PRIMARY KEY (stix_id)
);
CREATE TABLE inbound (
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  head BIGINT NOT NULL,
  chain BLOB NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member, incarnation)
);
CREATE TABLE invitations (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  digest VARCHAR(64) NOT NULL,
  expires VARCHAR(27) NOT NULL,
  commitment TEXT NOT NULL,
  nonce TEXT NOT NULL,
  used_by TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE observables (
  kind VARCHAR(12) NOT NULL,
  value TEXT NOT NULL,
  content INTEGER NOT NULL,
  anchor BOOLEAN NOT NULL,
  PRIMARY KEY (kind, value, content)
)
 WITHOUT ROWID;
CREATE INDEX observables_by_content ON observables (content);
CREATE TABLE peers (
  member TEXT NOT NULL,
  name TEXT NOT NULL,
  state VARCHAR(12) NOT NULL,
  phrase TEXT NOT NULL,
  clearance VARCHAR(12) NOT NULL,
  since VARCHAR(27) NOT NULL,
  number INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  document BLOB NOT NULL,
  PRIMARY KEY (member),
  UNIQUE (name)
);
CREATE TABLE quarantine (
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  number INTEGER NOT NULL,
  code VARCHAR(40) NOT NULL,
  detail TEXT NOT NULL,
  frame BLOB NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member, incarnation, number)
);
CREATE TABLE quarantine_sizes (
  member TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (member)
);
CREATE TABLE quarantined_ids (
  stix_id TEXT NOT NULL,
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (stix_id, member, incarnation, number)
)
 WITHOUT ROWID;
CREATE TABLE reached (
  whom TEXT NOT NULL,
  tlp VARCHAR(12) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (whom, tlp)
);
CREATE TABLE receipts (
  recipient TEXT NOT NULL,
  head INTEGER NOT NULL,
  envelope BLOB NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, head)
);
CREATE TABLE refs (
  target TEXT NOT NULL,
  content INTEGER NOT NULL,
  PRIMARY KEY (target, content)
)
 WITHOUT ROWID;
CREATE INDEX refs_by_content ON refs (content);
CREATE TABLE refusals (
  recipient TEXT NOT NULL,
  number INTEGER NOT NULL,
  code VARCHAR(40) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE TABLE roster_conflicts (
  community TEXT NOT NULL,
  number INTEGER NOT NULL,
  hash VARCHAR(64) NOT NULL,
  held VARCHAR(64) NOT NULL,
  came_from TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, number, hash)
);
CREATE TABLE rosters (
  community TEXT NOT NULL,
  number INTEGER NOT NULL,
  hash VARCHAR(64) NOT NULL,
  name TEXT NOT NULL,
  expires VARCHAR(27) NOT NULL,
  members TEXT NOT NULL,
  until TEXT NOT NULL,
  came_from TEXT NOT NULL,
  envelope BLOB NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, number),
  UNIQUE (hash)
);
CREATE INDEX rosters_by_sender ON rosters (came_from);
CREATE TABLE sequencer (
  id INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  chain BLOB NOT NULL,
  epoch BIGINT NOT NULL,
  PRIMARY KEY (id)
);
CREATE TABLE sessions (
  digest VARCHAR(64) NOT NULL,
  token TEXT NOT NULL,
  ends VARCHAR(27) NOT NULL,
  PRIMARY KEY (digest)
);
CREATE TABLE tags (
  kind VARCHAR(8) NOT NULL,
  value TEXT NOT NULL,
  content INTEGER NOT NULL,
  PRIMARY KEY (kind, value, content)
)
 WITHOUT ROWID;
CREATE INDEX tags_by_content ON tags (content);
CREATE TABLE tokens (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  role VARCHAR(12) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  created VARCHAR(27) NOT NULL,
  revoked BOOLEAN NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name)
);
CREATE TABLE tombstones (
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  statement BLOB NOT NULL,
  member TEXT NOT NULL,
  issued VARCHAR(27) NOT NULL,
  why TEXT NOT NULL,
  sender TEXT NOT NULL,
  envelope BLOB NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE UNIQUE INDEX tombstones_by_hash ON tombstones (hash);
CREATE INDEX tombstones_by_sender ON tombstones (sender);
CREATE UNIQUE INDEX tombstones_by_statement ON tombstones (statement, member);
CREATE TABLE views (
  recipient TEXT NOT NULL,
  number INTEGER NOT NULL,
  kind VARCHAR(12) NOT NULL,
  ref BLOB NOT NULL,
  rule TEXT NOT NULL,
  digest BLOB NOT NULL,
  chain BLOB NOT NULL,
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE INDEX views_by_ref ON views (ref, recipient);
CREATE TABLE voids (
  recipient TEXT NOT NULL,
  number INTEGER NOT NULL,
  reason VARCHAR(24) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE TABLE withheld (
  recipient TEXT NOT NULL,
  statement BLOB NOT NULL,
  own BOOLEAN NOT NULL,
  reason VARCHAR(24) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, statement)
);
CREATE INDEX withheld_by_reason ON withheld (recipient, own, reason, at);
CREATE TABLE bodies (
  content INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE policies (
  seq INTEGER NOT NULL,
  hash VARCHAR(64) NOT NULL,
  text TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE posts (
  content INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  actor TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE INDEX posts_by_seq ON posts (seq);
CREATE TABLE purges (
  content INTEGER NOT NULL,
  why TEXT NOT NULL,
  actor TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE statements (
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  content INTEGER NOT NULL,
  origin TEXT NOT NULL,
  own BOOLEAN NOT NULL,
  terms TEXT NOT NULL,
  issued VARCHAR(27) NOT NULL,
  at VARCHAR(27) NOT NULL,
  envelope BLOB NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE INDEX statements_by_content ON statements (content);
CREATE UNIQUE INDEX statements_by_hash ON statements (hash);
CREATE INDEX statements_by_origin ON statements (origin, content);
CREATE TABLE substances (
  content INTEGER NOT NULL,
  substance BLOB NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE arrivals (
  statement INTEGER NOT NULL,
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (statement, member),
  FOREIGN KEY(statement) REFERENCES statements (seq)
);
CREATE TABLE companions (
  statement INTEGER NOT NULL,
  position INTEGER NOT NULL,
  content INTEGER NOT NULL,
  PRIMARY KEY (statement, position),
  FOREIGN KEY(statement) REFERENCES statements (seq),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE VIRTUAL TABLE texts USING fts5(words, content='', columnsize=0, tokenize='ascii');
CREATE TABLE looks (
  seq INTEGER NOT NULL,
  question TEXT NOT NULL,
  contents BLOB NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE TABLE checkpoints (
  seq INTEGER NOT NULL,
  at VARCHAR(27) NOT NULL,
  nonce BLOB NOT NULL,
  checkpoint BLOB NOT NULL,
  digest VARCHAR(64) NOT NULL,
  commitment BLOB NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE INDEX checkpoints_by_digest ON checkpoints (digest);
CREATE TABLE kept_commitments (
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  envelope BLOB NOT NULL,
  received VARCHAR(27) NOT NULL,
  PRIMARY KEY (member, at)
);
