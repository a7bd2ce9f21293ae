//! Listens: the accept loop with its limits and timeouts, and the strict gate for requests.
