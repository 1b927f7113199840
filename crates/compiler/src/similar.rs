//! Names that differ in little from one that was probably mistyped.

/// The name that is most alike, if one is alike enough to be what was meant.
pub fn similar<'n>(names: impl IntoIterator<Item = &'n str>, wanted: &str) -> Option<&'n str> {
    // A quarter of the letters may differ, of a short name one.
    let limit = (wanted.chars().count() / 4).clamp(1, 3);
    names
        .into_iter()
        .filter(|name| *name != wanted)
        .map(|name| (distance(&name.to_lowercase(), &wanted.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = last[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn what_was_meant_is_found() {
        let names = ["reserve", "release", "rooms", "add", "Service"];
        for (wanted, found) in [
            ("resrve", Some("reserve")),
            ("reserev", Some("reserve")),
            ("relaese", Some("release")),
            ("relese", Some("release")),
            ("service", Some("Service")),
            ("ad", Some("add")),
            ("cancel", None),
            ("x", None),
            ("rooms", None),
        ] {
            assert_eq!(similar(names, wanted), found, "{wanted}");
        }
    }
}
