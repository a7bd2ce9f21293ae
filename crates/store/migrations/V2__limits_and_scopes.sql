-- What an account may do otherwise than its api says; null is the api's.
ALTER TABLE account ADD COLUMN budget INTEGER CHECK (budget > 0);
ALTER TABLE account ADD COLUMN sessions INTEGER CHECK (sessions > 0);
ALTER TABLE account ADD COLUMN mints_per_minute INTEGER CHECK (mints_per_minute > 0);
ALTER TABLE account ADD COLUMN requests_per_second INTEGER CHECK (requests_per_second > 0);

-- Scope tokens, separated by spaces.
ALTER TABLE credential ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
