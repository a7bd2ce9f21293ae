//! Carries: plain HTTP from a program on this machine to the vendor, with a fresh
//! token.
