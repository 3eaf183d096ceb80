-- When a refresh token was replaced: it is remembered, so that whoever presents it later ends the session, for as long
-- as a login lasts without being used.

ALTER TABLE rotated_tokens ADD COLUMN rotated_at BIGINT NOT NULL DEFAULT 0;
UPDATE rotated_tokens SET rotated_at = (SELECT last_used_at FROM sessions WHERE sessions.id = rotated_tokens.session_id);
