//! The stores, as the driver uses them. The sealed file is looked at, cut,
//! swapped and crashed from outside.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod crashes;
mod damage;
mod files;
mod former;
mod locks;
mod sharing;
mod support;
