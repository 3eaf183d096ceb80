-- Lines that begin with "--sqlite " or "--postgres " are for that engine only; {id} is its self-numbering primary key,
-- {blob} its type for bytes, {key} its type for text that is compared and sorted bytewise. Times are microseconds UTC.

CREATE TABLE vault (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    vault_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id {id},
    username TEXT NOT NULL,
    username_key {key} NOT NULL UNIQUE,
    email TEXT NOT NULL,
    email_key {key} UNIQUE,              -- NULL when there is no address
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'admin')),
    state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'deleting')),
    must_change_password INTEGER NOT NULL,
    quota BIGINT,
    used BIGINT NOT NULL DEFAULT 0,
    reserved BIGINT NOT NULL DEFAULT 0,
    seq BIGINT NOT NULL DEFAULT 0,
    root_id BIGINT,                      -- set in the transaction that makes the user
    created_at BIGINT NOT NULL,
    password_changed_at BIGINT NOT NULL,
    last_login_at BIGINT
);

CREATE TABLE sessions (
    id {id},
    user_id BIGINT NOT NULL REFERENCES users (id),
    refresh_hash {blob} NOT NULL UNIQUE,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Refresh tokens that were rotated away: valid until valid_until or until a newer one was used; presented later, they
-- give the theft away. One handed out beside the current one, to a retry, is valid for as long as it takes to use one.
CREATE TABLE rotated_tokens (
    refresh_hash {blob} PRIMARY KEY,
    session_id BIGINT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    valid_until BIGINT NOT NULL
);
CREATE INDEX rotated_tokens_session ON rotated_tokens (session_id);

CREATE TABLE api_tokens (
    id {id},
    user_id BIGINT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    token_hash {blob} NOT NULL UNIQUE,
    read_only INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_tokens_user ON api_tokens (user_id);

CREATE TABLE attempts (
    attempt_key {key} PRIMARY KEY,
    count INTEGER NOT NULL,
    window_ends_at BIGINT NOT NULL
);

CREATE TABLE stores (
    id {id},
    node_id TEXT NOT NULL UNIQUE,
    uuid TEXT NOT NULL,
    zone TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL,
    capacity_bytes BIGINT NOT NULL,
    free_bytes BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);

CREATE TABLE chunks (
    id {id},
    hash {blob} NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'removing')),
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE replicas (
    chunk_id BIGINT NOT NULL REFERENCES chunks (id),
    store_id BIGINT NOT NULL REFERENCES stores (id),
    state TEXT NOT NULL CHECK (state IN ('good', 'bad')),
    verified_at BIGINT NOT NULL,
    PRIMARY KEY (chunk_id, store_id)
);
CREATE INDEX replicas_scrub ON replicas (store_id, verified_at);

CREATE TABLE contents (
    id {id},
    owner_id BIGINT NOT NULL REFERENCES users (id),
    size BIGINT NOT NULL,
    root {blob} NOT NULL,
    sha256 {blob},
    sha256_verified INTEGER NOT NULL,
    chunk_count BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (owner_id, root)
);

CREATE INDEX contents_unverified ON contents (id) WHERE sha256_verified = 0;

CREATE TABLE content_chunks (
    content_id BIGINT NOT NULL REFERENCES contents (id),
    idx BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    length BIGINT NOT NULL,
    chunk_id BIGINT NOT NULL REFERENCES chunks (id),
    PRIMARY KEY (content_id, byte_offset)
);
CREATE INDEX content_chunks_chunk ON content_chunks (chunk_id);

CREATE TABLE files (
    id {id},
    owner_id BIGINT NOT NULL REFERENCES users (id),
    folder_id BIGINT REFERENCES files (id),
    kind INTEGER NOT NULL,               -- 0 folder, 1 file: folders sort first
    state TEXT NOT NULL CHECK (state IN ('reserved', 'live', 'trashed', 'purging')),
    name TEXT NOT NULL,
    name_key {key} NOT NULL,
    version BIGINT NOT NULL DEFAULT 0,
    size BIGINT NOT NULL DEFAULT 0,
    modified_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    trashed_at BIGINT
);
-- The children of a trashed folder stay live below it; only live entries can clash.
CREATE UNIQUE INDEX files_clash ON files (folder_id, name_key) WHERE state = 'live';
CREATE INDEX files_name ON files (folder_id, kind, name_key, id) WHERE state = 'live';
CREATE INDEX files_folder ON files (folder_id);
CREATE INDEX files_trash ON files (owner_id, trashed_at) WHERE state = 'trashed';
CREATE INDEX files_purging ON files (id) WHERE state = 'purging';
CREATE INDEX files_owner ON files (owner_id);

CREATE TABLE versions (
    file_id BIGINT NOT NULL REFERENCES files (id),
    n BIGINT NOT NULL,
    content_id BIGINT NOT NULL REFERENCES contents (id),
    modified_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (file_id, n)
);
CREATE INDEX versions_content ON versions (content_id);

CREATE TABLE uploads (
    id {id},
    owner_id BIGINT NOT NULL REFERENCES users (id),
    upload_key TEXT,                     -- NULL: the intake of one request
    state TEXT NOT NULL CHECK (state IN ('open', 'committed', 'ended')),
    folder_id BIGINT,
    name TEXT,
    name_key {key},
    size BIGINT,
    chunk_size BIGINT NOT NULL,
    modified_at BIGINT,
    on_conflict TEXT,
    file_id BIGINT,
    version BIGINT,
    new_version INTEGER,                 -- of the commit
    reserved BIGINT NOT NULL,            -- bytes of quota held
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    UNIQUE (owner_id, upload_key)
);
CREATE INDEX uploads_expires ON uploads (expires_at);

CREATE TABLE upload_chunks (
    upload_id BIGINT NOT NULL REFERENCES uploads (id),
    idx BIGINT NOT NULL,
    length BIGINT NOT NULL,
    chunk_id BIGINT NOT NULL REFERENCES chunks (id),
    stored INTEGER NOT NULL,             -- 0: pinned only, the put is under way or failed
    PRIMARY KEY (upload_id, idx)
);
CREATE INDEX upload_chunks_chunk ON upload_chunks (chunk_id);

CREATE TABLE shares (
    id {id},
    owner_id BIGINT NOT NULL REFERENCES users (id),
    file_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    token_hash {blob} UNIQUE,
    salt TEXT NOT NULL,
    password_hash TEXT,
    expires_at BIGINT,
    max_downloads BIGINT,
    downloads BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX shares_owner ON shares (owner_id, id);
CREATE INDEX shares_file ON shares (file_id);

CREATE TABLE share_tickets (
    share_id BIGINT NOT NULL REFERENCES shares (id),
    ticket_hash {blob} NOT NULL,
    file_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    bytes_left BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (share_id, ticket_hash)
);
CREATE INDEX share_tickets_expires ON share_tickets (expires_at);
