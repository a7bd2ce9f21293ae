//! The configuration file: what was written, then what is needed.
