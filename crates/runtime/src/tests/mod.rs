//! The node with scripted workers and a log that can be held back: what its callers may see, and when.

mod durability;
mod fixture;
mod workers;
