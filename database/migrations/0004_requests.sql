-- Upload requests, which are shares of the kind 'upload', and uploads by tus, whose bytes come in order.

ALTER TABLE shares ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE shares ADD COLUMN max_bytes BIGINT;
ALTER TABLE shares ADD COLUMN max_file_bytes BIGINT;
ALTER TABLE shares ADD COLUMN max_files BIGINT;
ALTER TABLE shares ADD COLUMN types TEXT NOT NULL DEFAULT '';        -- empty: any
ALTER TABLE shares ADD COLUMN arrived_files BIGINT NOT NULL DEFAULT 0;
ALTER TABLE shares ADD COLUMN arrived_bytes BIGINT NOT NULL DEFAULT 0;

ALTER TABLE uploads ADD COLUMN request_id BIGINT;                    -- a guest's, by this share
ALTER TABLE uploads ADD COLUMN metadata TEXT NOT NULL DEFAULT '';    -- of tus
ALTER TABLE uploads ADD COLUMN received BIGINT;                      -- bytes from the start; NULL: not by tus
ALTER TABLE uploads ADD COLUMN lease BIGINT NOT NULL DEFAULT 0;      -- of the request that writes; 0: none does
ALTER TABLE uploads ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX uploads_request ON uploads (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX uploads_open_file ON uploads (file_id) WHERE state = 'open';
