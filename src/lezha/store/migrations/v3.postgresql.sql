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
CREATE TABLE verdicts (
  item BIGINT NOT NULL,
  verdict VARCHAR(12) NOT NULL,
  actor TEXT NOT NULL,
  why TEXT NOT NULL,
  at VARCHAR(27) NOT NULL,
  PRIMARY KEY (item)
);
