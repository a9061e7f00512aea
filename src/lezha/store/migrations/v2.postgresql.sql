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
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  stix_id TEXT COLLATE "C" NOT NULL,
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
  stix_id TEXT COLLATE "C" NOT NULL,
  version TEXT NOT NULL,
  creator TEXT COLLATE "C" NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (stix_id, version, creator)
);
CREATE TABLE events (
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  kind VARCHAR(40) NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  source VARCHAR(64) NOT NULL,
  detail TEXT NOT NULL,
  chain BYTEA NOT NULL,
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
  stix_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (stix_id)
);
CREATE TABLE inbound (
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  head BIGINT NOT NULL,
  chain BYTEA NOT NULL,
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
  value TEXT COLLATE "C" NOT NULL,
  content BIGINT NOT NULL,
  anchor BOOLEAN NOT NULL,
  PRIMARY KEY (kind, value, content)
);
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
  document BYTEA NOT NULL,
  PRIMARY KEY (member),
  UNIQUE (name)
);
CREATE TABLE quarantine (
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  number BIGINT NOT NULL,
  code VARCHAR(40) NOT NULL,
  detail TEXT NOT NULL,
  frame BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member, incarnation, number)
);
CREATE TABLE quarantine_sizes (
  member TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  PRIMARY KEY (member)
);
CREATE TABLE quarantined_ids (
  stix_id TEXT COLLATE "C" NOT NULL,
  member TEXT NOT NULL,
  incarnation TEXT NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (stix_id, member, incarnation, number)
);
CREATE TABLE reached (
  whom TEXT NOT NULL,
  tlp VARCHAR(12) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (whom, tlp)
);
CREATE TABLE receipts (
  recipient TEXT NOT NULL,
  head BIGINT NOT NULL,
  envelope BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, head)
);
CREATE TABLE refs (
  target TEXT COLLATE "C" NOT NULL,
  content BIGINT NOT NULL,
  PRIMARY KEY (target, content)
);
CREATE INDEX refs_by_content ON refs (content);
CREATE TABLE refusals (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
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
  envelope BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, number),
  UNIQUE (hash)
);
CREATE INDEX rosters_by_sender ON rosters (came_from);
CREATE TABLE sequencer (
  id INTEGER NOT NULL,
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  chain BYTEA NOT NULL,
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
  value TEXT COLLATE "C" NOT NULL,
  content BIGINT NOT NULL,
  PRIMARY KEY (kind, value, content)
);
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
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  statement BYTEA NOT NULL,
  member TEXT NOT NULL,
  issued VARCHAR(27) NOT NULL,
  why TEXT NOT NULL,
  sender TEXT NOT NULL,
  envelope BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE UNIQUE INDEX tombstones_by_hash ON tombstones (hash);
CREATE INDEX tombstones_by_sender ON tombstones (sender);
CREATE UNIQUE INDEX tombstones_by_statement ON tombstones (statement, member);
CREATE TABLE views (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind VARCHAR(12) NOT NULL,
  ref BYTEA NOT NULL,
  rule TEXT NOT NULL,
  digest BYTEA NOT NULL,
  chain BYTEA NOT NULL,
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE INDEX views_by_ref ON views (ref, recipient);
CREATE TABLE voids (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  reason VARCHAR(24) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE TABLE withheld (
  recipient TEXT NOT NULL,
  statement BYTEA NOT NULL,
  own BOOLEAN NOT NULL,
  reason VARCHAR(24) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, statement)
);
CREATE INDEX withheld_by_reason ON withheld (recipient, own, reason, at);
CREATE TABLE bodies (
  content BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE policies (
  seq BIGINT NOT NULL,
  hash VARCHAR(64) NOT NULL,
  text TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (seq)
);
CREATE TABLE posts (
  content BIGINT NOT NULL,
  seq BIGINT NOT NULL,
  actor TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE INDEX posts_by_seq ON posts (seq);
CREATE TABLE purges (
  content BIGINT NOT NULL,
  why TEXT NOT NULL,
  actor TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE statements (
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  content BIGINT NOT NULL,
  origin TEXT NOT NULL,
  own BOOLEAN NOT NULL,
  terms TEXT NOT NULL,
  issued VARCHAR(27) NOT NULL,
  at VARCHAR(27) NOT NULL,
  envelope BYTEA NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE INDEX statements_by_content ON statements (content);
CREATE UNIQUE INDEX statements_by_hash ON statements (hash);
CREATE INDEX statements_by_origin ON statements (origin, content);
CREATE TABLE substances (
  content BIGINT NOT NULL,
  substance BYTEA NOT NULL,
  PRIMARY KEY (content),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE arrivals (
  statement BIGINT NOT NULL,
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (statement, member),
  FOREIGN KEY(statement) REFERENCES statements (seq)
);
CREATE TABLE companions (
  statement BIGINT NOT NULL,
  position INTEGER NOT NULL,
  content BIGINT NOT NULL,
  PRIMARY KEY (statement, position),
  FOREIGN KEY(statement) REFERENCES statements (seq),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE TABLE texts (content BIGINT PRIMARY KEY REFERENCES contents (seq), words TSVECTOR NOT NULL);
CREATE INDEX texts_by_word ON texts USING gin (words);
CREATE TABLE looks (
  seq BIGINT NOT NULL,
  question TEXT NOT NULL,
  contents BYTEA NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE TABLE checkpoints (
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  nonce BYTEA NOT NULL,
  checkpoint BYTEA NOT NULL,
  digest VARCHAR(64) NOT NULL,
  commitment BYTEA NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE INDEX checkpoints_by_digest ON checkpoints (digest);
CREATE TABLE kept_commitments (
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  digest VARCHAR(64) NOT NULL,
  envelope BYTEA NOT NULL,
  received VARCHAR(27) NOT NULL,
  PRIMARY KEY (member, at)
);
