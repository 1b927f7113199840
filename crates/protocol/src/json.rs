//! Values as JSON, for HTTP.

mod names;

pub use names::type_name;
