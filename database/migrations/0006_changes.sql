-- What GET /changes tells: rows of each change of users.seq, at least one. They are written with every file, under the
-- owner's lock, so that checking a foreign key would cost and tell nothing. What may differ between the engines is said
-- in 0001_initial.sql.

CREATE TABLE changes (
    owner_id BIGINT NOT NULL,
    seq BIGINT NOT NULL,                 -- that the change came to
    n INTEGER NOT NULL,
    before_stamp BIGINT NOT NULL,        -- users.seq_stamp before it: which history the change goes on from
    what TEXT NOT NULL,
    at BIGINT NOT NULL,
    entry_id BIGINT NOT NULL,            -- 0: none, also below
    folder_id BIGINT NOT NULL,
    share_id BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (owner_id, seq, n)
--sqlite ) WITHOUT ROWID;
--postgres );

-- Downloads that are not in changes yet. They happen without the owner's lock, so that the next one who asks for changes
-- moves them there.
CREATE TABLE share_downloads (
    share_id BIGINT NOT NULL REFERENCES shares (id) ON DELETE CASCADE,
    file_id BIGINT NOT NULL,
    owner_id BIGINT NOT NULL,
    count BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (share_id, file_id)
);
CREATE INDEX share_downloads_owner ON share_downloads (owner_id);
