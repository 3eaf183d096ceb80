-- Storage nodes, and what several workers share. What may differ between the engines is said in 0001_initial.sql.

ALTER TABLE stores ADD COLUMN drain INTEGER NOT NULL DEFAULT 0;     -- 1: an operator wants it empty
ALTER TABLE stores ADD COLUMN drain_started_at BIGINT;
ALTER TABLE stores ADD COLUMN drain_replicas BIGINT NOT NULL DEFAULT 0;  -- good copies on it then
ALTER TABLE stores ADD COLUMN drained_at BIGINT;                    -- nothing is left on it
ALTER TABLE stores ADD COLUMN mounted INTEGER NOT NULL DEFAULT 0;   -- 1: its folder was a mount point
ALTER TABLE stores ADD COLUMN problem TEXT NOT NULL DEFAULT '';     -- of the last report
ALTER TABLE stores ADD COLUMN reached INTEGER NOT NULL DEFAULT 1;   -- 0: not yet at its endpoint of now
ALTER TABLE stores ADD COLUMN state_since BIGINT NOT NULL DEFAULT 0;
UPDATE stores SET state_since = last_seen_at, drain = CASE WHEN state IN ('draining', 'drained') THEN 1 ELSE 0 END,
    drained_at = CASE WHEN state = 'drained' THEN last_seen_at END;

-- What is on one store, in the order of a sweep.
CREATE INDEX replicas_store ON replicas (store_id, chunk_id);

-- Raised by every report of a store, which remembers it: a database with a lower one was put back.
ALTER TABLE vault ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE vault ADD COLUMN collection_held_at BIGINT;             -- NULL: collection may go on
ALTER TABLE vault ADD COLUMN collection_held_why TEXT;
ALTER TABLE vault ADD COLUMN collection_allowed_at BIGINT;          -- by an administrator, last

CREATE TABLE sweeps (
    name {key} PRIMARY KEY,
    holder TEXT NOT NULL,                -- empty: nobody runs it
    lease_until BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    examined BIGINT NOT NULL DEFAULT 0,
    changed BIGINT NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT ''
);
