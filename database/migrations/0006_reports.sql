-- Of the last report of a node that was recorded. One whose number is not above it was sent before, by whomever.

ALTER TABLE stores ADD COLUMN report_number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE stores ADD COLUMN stopped INTEGER NOT NULL DEFAULT 0;   -- 1: the node said that it ends in order
