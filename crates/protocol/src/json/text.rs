//! Texts of single values: UUIDs, Decimals and numbers of seconds, both ways.

use std::fmt::Write as _;

use crate::key::number::{Decimal, parse_decimal};

/// `8-4-4-4-12` hexadecimal digits.
pub(super) fn uuid(bytes: &[u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The UUID of 32 hexadecimal digits, with hyphens in the usual places or without.
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let has_hyphens = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| !has_hyphens || *byte != b'-').collect();
    if digits.len() != 32 {
        return None;
    }
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? * 16 + low?) as u8;
    }
    Some(out)
}

/// The text that `str` of the Decimal gives, so that a worker that writes it back changes nothing.
pub(super) fn normal_decimal(text: &str) -> Option<String> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    Some(match parse_decimal(text)? {
        Decimal::NaN => {
            let lower = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
            let digits = lower.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_start_matches('0');
            format!("{sign}{}{digits}", if lower.starts_with('s') { "sNaN" } else { "NaN" })
        }
        Decimal::Infinity { .. } => format!("{sign}Infinity"),
        Decimal::Finite { digits, exponent, .. } => format!("{sign}{}", scientific(&digits, exponent)),
    })
}

/// The "to-scientific-string" of the General Decimal Arithmetic, without sign.
fn scientific(digits: &str, exponent: i64) -> String {
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let point = exponent + digits.len() as i64;
    if exponent <= 0 && point > -6 {
        return match usize::try_from(point) {
            Ok(point) if point == digits.len() => digits.to_owned(),
            Ok(point) if point > 0 => format!("{}.{}", &digits[..point], &digits[point..]),
            _ => format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        };
    }
    let (first, rest) = digits.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{first}{dot}{rest}E{:+}", point - 1)
}

/// A timedelta's seconds as a number, exactly.
pub(super) fn seconds(days: i64, seconds: i64, micros: i64) -> String {
    let total = (i128::from(days) * 86_400 + i128::from(seconds)) * 1_000_000 + i128::from(micros);
    let (whole, fraction) = (total.unsigned_abs() / 1_000_000, total.unsigned_abs() % 1_000_000);
    let mut out = format!("{}{whole}", if total < 0 { "-" } else { "" });
    if fraction > 0 {
        let _ = write!(out, ".{fraction:06}");
        out.truncate(out.trim_end_matches('0').len());
    }
    out
}

/// Days, seconds and microseconds of a number of seconds, rounded half to even; nothing if Python's timedelta could
/// not hold it.
pub(super) fn parse_seconds(text: &str) -> Option<(i64, i64, i64)> {
    let Decimal::Finite { negative, digits, exponent } = parse_decimal(text)? else { return None };
    let digits = digits.trim_start_matches('0');
    let shift = exponent.checked_add(6)?;
    if digits.is_empty() || shift < -40 {
        return Some((0, 0, 0));
    }
    if digits.len() > 37 || shift > 20 {
        return None;
    }
    let coefficient: i128 = digits.parse().ok()?;
    let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    let micros = if shift >= 0 { coefficient.checked_mul(power?)? } else { divide_rounded(coefficient, power) };
    let micros = if negative { -micros } else { micros };
    let days = i64::try_from(micros.div_euclid(86_400_000_000)).ok()?;
    let rest = micros.rem_euclid(86_400_000_000) as i64;
    (days.unsigned_abs() <= 999_999_999).then_some((days, rest / 1_000_000, rest % 1_000_000))
}

/// Half to even; a divisor too large to write makes 0.
fn divide_rounded(dividend: i128, divisor: Option<i128>) -> i128 {
    let Some(divisor) = divisor else { return 0 };
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let half = rest.cmp(&(divisor - rest));
    quotient + i128::from(half.is_gt() || (half.is_eq() && quotient % 2 == 1))
}
