//! Names that a misspelt one may have meant.

use crate::limits::{NEAR_NAME_BYTES_MAX, NEAR_NAMES_MAX};

/// Those of `known` that are spelt like `name`, nearest first.
pub(crate) fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    if name.len() > NEAR_NAME_BYTES_MAX {
        return vec![];
    }
    let wanted = folded(name);
    let mut found: Vec<(usize, &str)> = known
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= distance_max(candidate.len().max(name.len())))
        .collect();
    found.sort();
    found.into_iter().take(NEAR_NAMES_MAX).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// `; did you mean `A` or `B`?`, or nothing.
pub(crate) fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!("; did you mean {}?", quoted.join(" or "))
}

fn distance_max(len: usize) -> usize {
    (len / 3).max(2)
}

/// Lower case, without underscores: `get_room`, `getRoom` and `GetRoom` are one.
fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: &[&str]) {
        let known = ["Hotel", "Flight", "Frontend", "get_room"];
        assert_eq!(near(name, known.into_iter()), expected, "{name}");
    }

    #[test]
    fn proposes_names_that_are_spelt_alike() {
        check("Hotle", &["Hotel"]);
        check("hotel", &["Hotel"]);
        check("Hotl", &["Hotel"]);
        check("FrontEnd", &["Frontend"]);
        check("getRoom", &["get_room"]);
        check("Payment", &[]);
        check("", &[]);
    }

    #[test]
    fn says_so_in_words() {
        assert_eq!(did_you_mean(&[]), "");
        assert_eq!(did_you_mean(&["A".into(), "B".into()]), "; did you mean `A` or `B`?");
    }
}
