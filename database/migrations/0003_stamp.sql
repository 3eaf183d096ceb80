-- A random number that every change of seq brings with it: a database that was put back to an earlier state counts seq
-- from there again, and what was cached or sent with a seq of before must not be taken for the new state.

ALTER TABLE users ADD COLUMN seq_stamp BIGINT NOT NULL DEFAULT 0;
