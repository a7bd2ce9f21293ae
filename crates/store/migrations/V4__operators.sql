-- Named admin keys. The key in the data directory is not one of them.
CREATE TABLE admin_key (
    -- The public part of the key, by which it is looked up.
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('read', 'operate', 'own')),
    -- The names of apis, separated by spaces; NULL is all of them.
    apis TEXT,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

-- Replies to creations that carried an idempotency key, sealed: they hold the
-- secret that was shown, and a digest of the request.
CREATE TABLE remembered (
    operator TEXT NOT NULL,
    key TEXT NOT NULL,
    sealed BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (operator, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_until ON remembered (until);

CREATE INDEX audit_account ON audit (account, number) WHERE account IS NOT NULL;
