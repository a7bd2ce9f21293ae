//! Plays the vendor: issuer, guard and echo in memory, with time travel, faults
//! and a card for somebody's client.
