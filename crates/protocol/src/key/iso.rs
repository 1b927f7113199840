//! ISO 8601 dates and times as `isoformat()` gives them: read, checked, and counted in days and microseconds.

/// Microseconds of a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Time {
    /// Microseconds since midnight.
    pub(crate) micros: i64,
    /// Microseconds east of UTC, if aware.
    pub(crate) offset: Option<i64>,
}

/// Days since 0000-03-01 of `YYYY-MM-DD`.
pub(crate) fn date(text: &str) -> Option<i64> {
    let (year, month, day) = date_parts(text)?;
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1)
}

/// `YYYY-MM-DDTHH:MM:SSZ` of a time in microseconds since 1970.
pub(crate) fn utc(micros: u64) -> String {
    const DAYS_TO_1970: u64 = 719_468;
    let seconds = micros / 1_000_000;
    // Hinnant's `civil_from_days`: years begin in March, so that the leap day is their last.
    let days = seconds / 86_400 + DAYS_TO_1970;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year_of_era, if month < 10 { month + 3 } else { month - 9 });
    let year = if month < 3 { year + 1 } else { year };
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Date and time of `YYYY-MM-DDTHH:MM:SS[.ffffff][±HH:MM[:SS[.ffffff]]]`, with `;1` appended or not.
pub(crate) fn date_time(text: &str) -> Option<(i64, Time)> {
    let (day, rest) = text.split_at_checked(10)?;
    Some((date(day)?, time(rest.strip_prefix('T')?)?))
}

/// A time of day of the form `HH:MM:SS[.ffffff][±HH:MM[:SS[.ffffff]]]`, with `;1` appended or not.
pub(crate) fn time(text: &str) -> Option<Time> {
    let text = text.strip_suffix(";1").unwrap_or(text);
    let (clock, offset) = match text.find(['+', '-']) {
        Some(at) => {
            let offset = clock(&text[at + 1..], 1)?;
            (&text[..at], Some(if text[at..].starts_with('-') { -offset } else { offset }))
        }
        None => (text, None),
    };
    Some(Time { micros: self::clock(clock, 2)?, offset })
}

/// The text in the form that `isoformat()` gives, if it is a date and time in that or a common other form: with a blank
/// or `t` for `T`, without seconds, with one to nine digits of a fraction, with `Z` or `±HHMM` for the zone.
pub(crate) fn normal_date_time(text: &str) -> Option<String> {
    let (day, rest) = text.split_at_checked(10)?;
    date(day)?;
    match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => Some(format!("{day}T{}", normal_time(rest)?)),
        None => rest.is_empty().then(|| format!("{day}T00:00:00")),
    }
}

/// Likewise for a time of day.
pub(crate) fn normal_time(text: &str) -> Option<String> {
    let zone_at = text.find(['+', '-', 'Z', 'z']).unwrap_or(text.len());
    let (clock, zone) = text.split_at(zone_at);
    let (whole, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let has_point = whole.len() < clock.len();
    if has_point && (fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let seconds = match whole.len() {
        5 if !has_point => ":00",
        8 => "",
        _ => return None,
    };
    let micros = format!("{fraction:0<6}").get(..6)?.to_owned();
    let micros = if micros == "000000" { String::new() } else { format!(".{micros}") };
    let normal = format!("{whole}{seconds}{micros}{}", normal_zone(zone)?);
    time(&normal).map(|_| normal)
}

fn normal_zone(zone: &str) -> Option<String> {
    Some(match zone {
        "" => String::new(),
        "Z" | "z" => "+00:00".to_owned(),
        _ => match zone.len() {
            3 => format!("{zone}:00"),
            5 => format!("{}:{}", zone.get(..3)?, zone.get(3..)?),
            _ => zone.to_owned(),
        },
    })
}

fn date_parts(text: &str) -> Option<(i64, i64, i64)> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..])?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => 31,
    };
    (year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day)).then_some((year, month, day))
}

/// Microseconds of `HH:MM[:SS[.ffffff]]` with at least `colons_min` colons.
fn clock(text: &str, colons_min: usize) -> Option<i64> {
    let bytes = text.as_bytes();
    let colon = |at: usize| bytes.get(at) == Some(&b':');
    let pair = |at: usize| digits(bytes.get(at..at + 2)?);
    if !bytes.is_ascii() || !colon(2) {
        return None;
    }
    let (seconds, micros) = match bytes.len() {
        5 if colons_min < 2 => (0, 0),
        8 if colon(5) => (pair(6)?, 0),
        15 if colon(5) && bytes[8] == b'.' => (pair(6)?, digits(&bytes[9..])?),
        _ => return None,
    };
    let (hours, minutes) = (pair(0)?, pair(3)?);
    (hours < 24 && minutes < 60 && seconds < 60).then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}
