-- Times are microseconds since 1970; ids of sessions are 16 random bytes.
CREATE TABLE refusal (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- How many more of the same kind came, and when the last of them.
    repeated INTEGER NOT NULL DEFAULT 0,
    last_at INTEGER NOT NULL,
    front TEXT NOT NULL,
    api TEXT,
    operation TEXT,
    refusal TEXT NOT NULL,
    reason TEXT NOT NULL,
    status INTEGER,
    account INTEGER,
    -- The api of the account, if it is another one.
    account_api TEXT,
    login TEXT,
    session BLOB,
    address TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX refusal_id ON refusal (id);
CREATE INDEX refusal_account ON refusal (account, number) WHERE account IS NOT NULL;
CREATE INDEX refusal_login ON refusal (login, number) WHERE login IS NOT NULL;
CREATE INDEX refusal_address ON refusal (address, number);

CREATE TABLE event (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
