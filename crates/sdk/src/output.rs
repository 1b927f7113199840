//! Output of methods: kept with the step and shown once, when the step is durable. That of tasks is shown at once.

use std::fmt::Arguments;

use crate::{run, task};

/// Bytes of one step's output that are kept.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Takes a line for a stream: 0 standard output, 1 standard error. For the macros.
#[doc(hidden)]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "outside of a method it is the ordinary thing")]
pub fn write(stream: u8, text: Arguments<'_>) {
    let text = format!("{text}\n");
    let Some(text) = task::print(stream, text) else { return };
    let taken = run::try_with(|run| {
        let kept: usize = run.output.iter().map(|(_, text)| text.len()).sum();
        if kept < OUTPUT_BYTES_MAX {
            let cut = (0..=text.len().min(OUTPUT_BYTES_MAX - kept)).rev().find(|at| text.is_char_boundary(*at));
            run.output.push((stream, text[..cut.unwrap_or(0)].to_owned()));
        }
    });
    match (taken, stream) {
        (Some(()), _) => {}
        (None, 0) => std::print!("{text}"),
        (None, _) => std::eprint!("{text}"),
    }
}

/// Like `std::println!`; in a method the line is shown once, when the step is durable.
#[macro_export]
macro_rules! println {
    () => { $crate::output::write(0, ::std::format_args!("")) };
    ($($arg:tt)*) => { $crate::output::write(0, ::std::format_args!($($arg)*)) };
}

/// Like `std::eprintln!`; in a method the line is shown once, when the step is durable.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::output::write(1, ::std::format_args!("")) };
    ($($arg:tt)*) => { $crate::output::write(1, ::std::format_args!($($arg)*)) };
}
