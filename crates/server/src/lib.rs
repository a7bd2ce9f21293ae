//! Issues: the issuer, its store, sealed keys and the admin API.
