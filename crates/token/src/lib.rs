//! Proves: signs and verifies access and refresh tokens in the form that a dialect gives them.
