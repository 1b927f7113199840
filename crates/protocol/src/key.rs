//! Cell keys.
