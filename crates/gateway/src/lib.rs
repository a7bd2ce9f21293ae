//! Checks: authorize a request to a permit, and the reverse proxy behind it. Links no store.
