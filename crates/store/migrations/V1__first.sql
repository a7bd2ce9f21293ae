-- Times are microseconds since 1970; ids of sessions are 16 random bytes.

-- One row that each commit carries forward.
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    -- The latest commit's time: the clock never starts before it.
    clock INTEGER NOT NULL,
    -- The number of the last revocation. The log has no gaps because this
    -- number is raised in the commit that writes the entry.
    revocation INTEGER NOT NULL,
    -- The last account id that was given automatically.
    account INTEGER NOT NULL,
    -- No access or refresh token that was ever given out lives longer.
    token_until INTEGER NOT NULL,
    -- A sealed constant, by which the right master key is recognised.
    master_check BLOB
) STRICT;
INSERT INTO head VALUES (1, 0, 0, 100000, 0, NULL);

-- Every account id that was ever taken: none is given twice.
CREATE TABLE account_id (id INTEGER PRIMARY KEY CHECK (id > 0)) STRICT;

CREATE TABLE account (
    id INTEGER PRIMARY KEY REFERENCES account_id (id),
    api TEXT NOT NULL,
    name TEXT NOT NULL,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    -- Networks, separated by spaces.
    allow TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- AUTOINCREMENT: the id of a deleted credential is not given again.
CREATE TABLE credential (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id),
    api TEXT NOT NULL,
    login TEXT NOT NULL,
    key_hash BLOB CHECK (length(key_hash) = 32),
    password_hash TEXT,
    active INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL,
    CHECK ((key_hash IS NULL) <> (password_hash IS NULL)),
    UNIQUE (login, api)
) STRICT;
CREATE INDEX credential_account ON credential (account);

CREATE TABLE session (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    account INTEGER NOT NULL,
    credential INTEGER NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    variant TEXT NOT NULL,
    seed_hash BLOB NOT NULL CHECK (length(seed_hash) = 32),
    state TEXT NOT NULL CHECK (state IN ('active', 'ended')),
    ended_as TEXT,
    ended_at INTEGER,
    generation INTEGER NOT NULL CHECK (generation >= 0),
    started_at INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    access_expires_at INTEGER NOT NULL,
    refresh_expires_at INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    kid TEXT NOT NULL,
    previous_kid TEXT,
    replays INTEGER NOT NULL CHECK (replays >= 0),
    used INTEGER NOT NULL CHECK (used IN (0, 1)),
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    -- The latest expiry of the access tokens of all generations, and of all
    -- tokens: where lifetimes were shortened, an older one lives longest.
    access_until INTEGER NOT NULL,
    token_until INTEGER NOT NULL,
    -- When the sweep looks at the row. It is behind token_until on purpose, so
    -- that a rotation writes to no index.
    sweep_at INTEGER NOT NULL,
    CHECK ((state = 'ended') = (ended_as IS NOT NULL)),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
) STRICT;
CREATE INDEX session_account ON session (account, state);
CREATE INDEX session_sweep ON session (sweep_at);

CREATE TABLE signing_key (
    kid TEXT PRIMARY KEY,
    api TEXT NOT NULL,
    purpose TEXT NOT NULL CHECK (purpose IN ('signing', 'pepper')),
    algorithm TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'killed')),
    retires_at INTEGER,
    created_at INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    CHECK ((state = 'retiring') = (retires_at IS NOT NULL))
) STRICT;
CREATE INDEX signing_key_api ON signing_key (api);

-- The log that verifiers follow. Numbers come from head.revocation.
CREATE TABLE revocation (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'account', 'key')),
    session BLOB,
    account INTEGER,
    epoch INTEGER,
    kid TEXT,
    until INTEGER NOT NULL,
    CHECK ((kind = 'session') = (session IS NOT NULL)),
    CHECK ((kind = 'account') = (account IS NOT NULL)),
    CHECK ((kind = 'account') = (epoch IS NOT NULL)),
    CHECK ((kind = 'key') = (kid IS NOT NULL))
) STRICT;
CREATE INDEX revocation_until ON revocation (until);

-- No reference to accounts or sessions: the log outlives them.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    api TEXT,
    account INTEGER,
    session BLOB,
    actor TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
