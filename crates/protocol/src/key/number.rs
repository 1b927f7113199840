//! Finite numbers of every type in one form: an integer of 64 bits as such; any other as ± n · 2ᵃ · 5ᵇ with n prime to
//! 10, which is unique and exact for floats and Decimals, and small also for `Decimal("1E999999")`.

use num_bigint::{BigInt, BigUint, Sign};

use super::{KeyError, malformed, put_signed, put_unsigned, tag};

/// The largest integer in a key, in bytes.
const INT_BYTES_MAX: u64 = 4096;

/// The most digits of a Decimal in a key.
const DIGITS_MAX: usize = 9_800;

/// The largest power of 5 in 64 bits.
const FIVES: u64 = 5_u64.pow(FIVES_EXPONENT);
const FIVES_EXPONENT: u32 = 27;

pub(super) fn put_int(value: i64, out: &mut Vec<u8>) {
    out.push(tag::INT);
    put_signed(i128::from(value), out);
}

pub(super) fn put_big(value: &BigInt, out: &mut Vec<u8>) -> Result<(), KeyError> {
    if value.bits() > 8 * INT_BYTES_MAX {
        return Err(KeyError::TooLarge);
    }
    put_product(value.sign() == Sign::Minus, value.magnitude().clone(), 0, 0, out);
    Ok(())
}

pub(super) fn put_float(value: f64, out: &mut Vec<u8>) -> Result<(), KeyError> {
    if value.is_nan() {
        return Err(KeyError::NaN);
    }
    if value.is_infinite() {
        put_infinity(value < 0.0, out);
    } else if value.fract() == 0.0 && value.abs() < 9e18 {
        put_int(value as i64, out);
    } else {
        let bits = value.to_bits();
        let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52 & 0x7ff) as i64);
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        put_product(value < 0.0, BigUint::from(mantissa), exponent.max(1) - 1075, 0, out);
    }
    Ok(())
}

pub(super) fn put_decimal(text: &str, out: &mut Vec<u8>) -> Result<(), KeyError> {
    match parse_decimal(text).ok_or_else(|| malformed("Decimal", text))? {
        Decimal::NaN => return Err(KeyError::NaN),
        Decimal::Infinity { negative } => put_infinity(negative, out),
        Decimal::Finite { digits, .. } if digits.len() > DIGITS_MAX => return Err(KeyError::TooLarge),
        Decimal::Finite { negative, digits, exponent } => {
            let coefficient = digits.parse::<BigUint>().map_err(|_| malformed("Decimal", text))?;
            put_product(negative, coefficient, exponent, exponent, out);
        }
    }
    Ok(())
}

/// What a Decimal's text says.
pub(crate) enum Decimal {
    NaN,
    Infinity { negative: bool },
    Finite { negative: bool, digits: String, exponent: i64 },
}

/// Reads what `str` of a Decimal gives, and every other spelling of it in ASCII without blanks and underscores.
pub(crate) fn parse_decimal(text: &str) -> Option<Decimal> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = rest.get(..rest.len().min(8)).unwrap_or("").to_ascii_lowercase();
    if rest.len() <= 8 && (lower == "inf" || lower == "infinity") {
        return Some(Decimal::Infinity { negative });
    }
    let payload = if lower.starts_with("nan") {
        Some(&rest[3..])
    } else if lower.starts_with("snan") {
        Some(&rest[4..])
    } else {
        None
    };
    if let Some(payload) = payload {
        return payload.bytes().all(|byte| byte.is_ascii_digit()).then_some(Decimal::NaN);
    }
    let (coefficient, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok().filter(|_| !rest[at + 1..].is_empty())?),
        None => (rest, 0),
    };
    let (whole, fraction) = coefficient.split_once('.').unwrap_or((coefficient, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    // The limits of Python's decimal module on 64-bit machines.
    (exponent.unsigned_abs() <= 2_000_000_000_000_000_000).then_some(Decimal::Finite { negative, digits, exponent })
}

fn put_infinity(negative: bool, out: &mut Vec<u8>) {
    out.push(if negative { tag::MINUS_INFINITY } else { tag::INFINITY });
}

/// The number ± `n` · 2^`twos` · 5^`fives`.
fn put_product(negative: bool, n: BigUint, twos: i64, fives: i64, out: &mut Vec<u8>) {
    let Some(zeros) = n.trailing_zeros() else { return put_int(0, out) };
    let mut n = n >> zeros;
    let twos = twos + zeros as i64;
    let fives = fives + strip_fives(&mut n);
    if let Some(small) = small(negative, &n, twos, fives) {
        return put_int(small, out);
    }
    out.push(tag::NUMBER);
    out.push(u8::from(negative));
    put_signed(i128::from(twos), out);
    put_signed(i128::from(fives), out);
    let bytes = n.to_bytes_le();
    put_unsigned(bytes.len() as u128, out);
    out.extend_from_slice(&bytes);
}

/// Divides by 5 as often as it goes, and says how often that was.
fn strip_fives(n: &mut BigUint) -> i64 {
    let mut count = 0;
    for (divisor, exponent) in [(FIVES, FIVES_EXPONENT), (5, 1)] {
        while (&*n % divisor) == BigUint::ZERO {
            *n /= divisor;
            count += i64::from(exponent);
        }
    }
    count
}

/// The number, if it is an integer of 64 bits.
fn small(negative: bool, n: &BigUint, twos: i64, fives: i64) -> Option<i64> {
    let power = 5_u64.checked_pow(u32::try_from(fives).ok()?)?;
    let product = i128::from(u64::try_from(n).ok()?).checked_mul(i128::from(power))?;
    let twos = u32::try_from(twos).ok().filter(|twos| *twos < 64)?;
    let magnitude = product.checked_mul(1_i128 << twos)?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}
