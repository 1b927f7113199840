//! Values as JSON, for HTTP and the command line.
//!
//! Out, there are two forms. The *natural* one is what JSON programs expect: ints of any size are exact numbers; tuples
//! and sets are arrays; `Decimal`, the datetime family and `UUID` are strings, `bytes` base64; a `timedelta` is a number
//! of seconds, an enum member its value, a dataclass an object of its fields, a `complex` an object of `real` and
//! `imag`; NaN and the infinities, which JSON lacks, are the strings `"NaN"`, `"Infinity"`, `"-Infinity"`. Dict keys that
//! are not `str` become text (so `1` and `"1"` cannot be told apart there). The *tagged* form is exact: what JSON lacks
//! is an object with one member that begins with `$`, like `{"$decimal": "1.10"}` (the table is at [`read_tagged`]).
//!
//! In, a value is read untyped, tagged, or guided by a type annotation, which converts and checks ([`read_typed`]).
//! [`bind_args`] does so for all arguments of a call and reports every problem.

mod base64;
mod bind;
mod names;
mod parse;
mod problem;
mod tagged;
mod text;
mod typed;
mod untyped;
mod write;

pub use bind::{ArgumentProblem, bind_args};
pub use names::type_name;
pub use parse::{ParseError, parse};
pub use problem::{Mismatch, Problem};
pub use tagged::read_tagged;
pub use typed::{read_key, read_typed};
pub use untyped::read_untyped;
pub use write::{write, write_msgpack};

/// How values are written in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As JSON programs expect; some types of Python become the same.
    #[default]
    Natural,
    /// With exact Python types.
    Tagged,
}
