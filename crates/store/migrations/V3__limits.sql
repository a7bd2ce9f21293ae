-- How much of an access token's budget was lent out to be spent. A row is made
-- when the token is first used and goes when it has run out.
CREATE TABLE lease (
    session BLOB NOT NULL CHECK (length(session) = 16),
    generation INTEGER NOT NULL CHECK (generation >= 0),
    -- The token's own expiry: a generation may have several tokens.
    until INTEGER NOT NULL,
    leased INTEGER NOT NULL CHECK (leased >= 0),
    PRIMARY KEY (session, generation, until)
) WITHOUT ROWID, STRICT;
CREATE INDEX lease_until ON lease (until);

-- The networks from which a credential's secret came right.
CREATE TABLE known_network (
    credential INTEGER NOT NULL,
    network TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (credential, network)
) WITHOUT ROWID, STRICT;
CREATE INDEX known_network_seen ON known_network (seen_at);
