-- When somebody last got something else from a store than the copy that the store itself found good, before and after.
ALTER TABLE stores ADD COLUMN wrong_answer_at BIGINT;

-- The times that the process which started last judges nodes by, for the others to compare with their own.
ALTER TABLE vault ADD COLUMN suspect_after_us BIGINT;
ALTER TABLE vault ADD COLUMN down_after_us BIGINT;
