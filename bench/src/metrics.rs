//! Reads the server's counters from its Prometheus page.

use std::collections::BTreeMap;

/// Counters by name, summed over their labels.
pub(crate) type Counters = BTreeMap<String, f64>;

/// Syncs of the log.
pub(crate) const SYNCS: &str = "sostenuto_log_syncs_total";
/// Bytes written to the log.
pub(crate) const LOG_BYTES: &str = "sostenuto_log_bytes_total";

/// Parses the page.
pub(crate) fn parse(page: &str) -> Counters {
    let mut counters = Counters::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let name = name.split('{').next().unwrap_or(name);
        *counters.entry(name.to_owned()).or_default() += value;
    }
    counters
}

/// How much a counter grew; `None` if the server does not have it.
pub(crate) fn growth(before: &Counters, after: &Counters, name: &str) -> Option<f64> {
    Some(after.get(name)? - before.get(name).copied().unwrap_or(0.0))
}

/// How much each of them grew, if it did.
pub(crate) fn all_growth(before: &Counters, after: &Counters) -> Counters {
    let grown = after.keys().filter_map(|name| Some((name.clone(), growth(before, after, name)?)));
    grown.filter(|(_, growth)| *growth > 0.0).collect()
}

#[cfg(test)]
mod tests {
    use super::{growth, parse};

    #[test]
    fn labels_are_summed() {
        let before = parse("# HELP a_total x\na_total{p=\"0\"} 1\na_total{p=\"1\"} 2\n");
        let after = parse("a_total{p=\"0\"} 5\na_total{p=\"1\"} 2\n");
        assert_eq!(growth(&before, &after, "a_total"), Some(4.0));
        assert_eq!(growth(&before, &after, "b_total"), None);
    }
}
