//! Says: compiles dialect files; bytes to commands and replies, in both directions. No I/O.
