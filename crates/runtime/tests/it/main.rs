//! A node with real Python workers.

mod app;
mod persistence;
mod workers;
