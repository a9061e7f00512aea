ALTER TABLE cursors ADD COLUMN behind BIGINT;
ALTER TABLE cursors ADD COLUMN until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE peers ADD COLUMN trust VARCHAR(12) NOT NULL DEFAULT 'watch';
ALTER TABLE peers ADD COLUMN hourly BIGINT;
ALTER TABLE quarantine ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
UPDATE quarantine SET seq = numbered.seq FROM (
  SELECT member, incarnation, number, ROW_NUMBER() OVER (ORDER BY at, member, incarnation, number) AS seq
  FROM quarantine
) AS numbered
WHERE numbered.member = quarantine.member AND numbered.incarnation = quarantine.incarnation
  AND numbered.number = quarantine.number;
CREATE UNIQUE INDEX quarantine_by_seq ON quarantine (seq);
CREATE INDEX quarantined_ids_by_frame ON quarantined_ids (member, incarnation, number);
CREATE TABLE verdicts (
  item BIGINT NOT NULL,
  verdict VARCHAR(12) NOT NULL,
  actor TEXT NOT NULL,
  why TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (item)
);
CREATE TABLE ahead (
  item BIGINT NOT NULL,
  member TEXT NOT NULL,
  dated VARCHAR(27) NOT NULL,
  PRIMARY KEY (item)
);
CREATE INDEX ahead_by_member ON ahead (member, dated);
INSERT INTO ahead (item, member, dated)
SELECT seq, member, '' FROM quarantine WHERE code = 'clock_ahead' AND LENGTH(frame) > 0;
CREATE TABLE documents (
  seq BIGINT NOT NULL,
  digest BYTEA NOT NULL,
  number INTEGER NOT NULL,
  envelope BYTEA NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE UNIQUE INDEX documents_by_digest ON documents (digest);
CREATE TABLE discredited (
  statement BIGINT NOT NULL,
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
INSERT INTO incarnations (member, incarnation, seq)
SELECT member, incarnation, ROW_NUMBER() OVER (PARTITION BY member ORDER BY at, incarnation) FROM inbound;
CREATE TABLE reintroductions (
  member TEXT NOT NULL,
  document BYTEA NOT NULL,
  phrase TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (member)
);
ALTER TABLE tokens ADD COLUMN clearance VARCHAR(12);
CREATE INDEX posts_by_actor ON posts (actor, seq);
CREATE TABLE shelves (
  id INTEGER NOT NULL,
  recipient TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (id)
);
CREATE UNIQUE INDEX shelves_by_name ON shelves (recipient, name);
CREATE TABLE offers (
  shelf INTEGER NOT NULL,
  at BIGINT NOT NULL,
  content BIGINT NOT NULL,
  statement BIGINT NOT NULL,
  lane TEXT NOT NULL,
  several BOOLEAN NOT NULL,
  PRIMARY KEY (shelf, at)
);
CREATE INDEX offers_by_content ON offers (content, shelf);
CREATE INDEX offers_by_lane ON offers (lane, at);
CREATE TABLE shelved (
  recipient TEXT NOT NULL,
  number BIGINT NOT NULL,
  PRIMARY KEY (recipient)
);
CREATE TABLE statuses (
  id TEXT NOT NULL,
  client TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  answer BYTEA NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX statuses_by_time ON statuses (at);
CREATE TABLE certificates (
  fingerprint BYTEA NOT NULL,
  token TEXT NOT NULL,
  der BYTEA NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (fingerprint)
);
CREATE TABLE seconds (
  content BIGINT NOT NULL,
  actor TEXT NOT NULL,
  seq BIGINT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (content, actor),
  FOREIGN KEY(content) REFERENCES contents (seq)
);
CREATE INDEX seconds_by_actor ON seconds (actor, seq);
CREATE TABLE retractions (
  seq BIGINT NOT NULL,
  content BIGINT NOT NULL,
  actor TEXT NOT NULL,
  PRIMARY KEY (seq),
  FOREIGN KEY(seq) REFERENCES events (seq)
);
CREATE INDEX retractions_by_content ON retractions (content);
