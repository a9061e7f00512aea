CREATE TABLE admissions (
  community TEXT NOT NULL,
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, member)
);
CREATE TABLE contents (
  hash VARCHAR(64) NOT NULL,
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
  seq BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (hash)
);
CREATE INDEX contents_by_id ON contents (stix_id, version);
CREATE INDEX contents_by_seq ON contents (seq);
CREATE INDEX contents_by_type ON contents (type, seq);
CREATE TABLE cursors (
  recipient TEXT NOT NULL,
  seq BIGINT NOT NULL,
  PRIMARY KEY (recipient)
);
CREATE TABLE events (
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  kind VARCHAR(40) NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (seq)
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
CREATE TABLE meta (
  name VARCHAR(40) NOT NULL,
  value TEXT,
  PRIMARY KEY (name)
);
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
CREATE TABLE receipts (
  recipient TEXT NOT NULL,
  head BIGINT NOT NULL,
  envelope BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, head)
);
CREATE TABLE refusals (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  code VARCHAR(40) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, number)
);
CREATE TABLE rosters (
  community TEXT NOT NULL,
  number INTEGER NOT NULL,
  hash VARCHAR(64) NOT NULL,
  name TEXT NOT NULL,
  expires VARCHAR(27) NOT NULL,
  members TEXT NOT NULL,
  envelope BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (community, number),
  UNIQUE (hash)
);
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
CREATE TABLE views (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  kind VARCHAR(12) NOT NULL,
  ref VARCHAR(64) NOT NULL,
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
CREATE TABLE observables (
  kind VARCHAR(12) NOT NULL,
  value TEXT NOT NULL,
  content VARCHAR(64) NOT NULL,
  anchor BOOLEAN NOT NULL,
  PRIMARY KEY (kind, value, content),
  FOREIGN KEY(content) REFERENCES contents (hash)
);
CREATE INDEX observables_by_content ON observables (content);
CREATE TABLE refs (
  target TEXT NOT NULL,
  content VARCHAR(64) NOT NULL,
  PRIMARY KEY (target, content),
  FOREIGN KEY(content) REFERENCES contents (hash)
);
CREATE TABLE statements (
  hash VARCHAR(64) NOT NULL,
  content VARCHAR(64) NOT NULL,
  origin TEXT NOT NULL,
  own BOOLEAN NOT NULL,
  terms TEXT NOT NULL,
  issued VARCHAR(27) NOT NULL,
  at VARCHAR(27) NOT NULL,
  seq BIGINT NOT NULL,
  envelope BYTEA NOT NULL,
  PRIMARY KEY (hash),
  FOREIGN KEY(content) REFERENCES contents (hash)
);
CREATE INDEX statements_by_content ON statements (content);
CREATE INDEX statements_by_seq ON statements (seq);
CREATE TABLE arrivals (
  statement VARCHAR(64) NOT NULL,
  member TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (statement, member),
  FOREIGN KEY(statement) REFERENCES statements (hash)
);
CREATE TABLE companions (
  statement VARCHAR(64) NOT NULL,
  position INTEGER NOT NULL,
  content VARCHAR(64) NOT NULL,
  PRIMARY KEY (statement, position),
  FOREIGN KEY(statement) REFERENCES statements (hash),
  FOREIGN KEY(content) REFERENCES contents (hash)
);
CREATE TABLE withheld (
  recipient TEXT NOT NULL,
  statement VARCHAR(64) NOT NULL,
  own BOOLEAN NOT NULL,
  reason VARCHAR(24) NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (recipient, statement),
  FOREIGN KEY(statement) REFERENCES statements (hash)
);
CREATE INDEX withheld_by_reason ON withheld (recipient, own, reason);
