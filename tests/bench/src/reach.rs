//! What the figures must keep to.

use crate::report::Report;

/// A figure, and the most it may be.
const REACH: [(&str, f64); 4] = [
    ("cpu_ratio_nginx", 4.0),
    ("added_p99_ratio_nginx", 3.0),
    ("policy_ratio_10000_to_10", 1.5),
    ("list_500_cpu_us", 1000.0),
];

/// The figures that are more, or that are missing.
pub(crate) fn missed(report: &Report) -> Vec<String> {
    REACH
        .into_iter()
        .filter_map(|(name, most)| match report.get(name) {
            Some(value) if value <= most => None,
            Some(value) => Some(format!(
                "{name} is {value:.2}, and at most {most} is within reach"
            )),
            // Nothing to compare with.
            None if name.ends_with("_nginx") && report.get("nginx_cpu_us").is_none() => None,
            None if name == "added_p99_ratio_nginx"
                && report.get("nginx_added_p99_ms").is_some_and(|added| added <= 0.0) => Some(
                format!("{name} cannot be told: nginx seems to add nothing, so the machine did something else too"),
            ),
            None => Some(format!("{name} was not measured")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(figures: &[(&str, f64)]) -> Report {
        let mut report = Report::new(String::new());
        for (name, value) in figures {
            report.figure(name, *value);
        }
        report
    }

    #[test]
    fn a_figure_beyond_its_reach_is_named_and_one_within_is_not() {
        let mut figures = vec![
            ("nginx_cpu_us", 12.0),
            ("cpu_ratio_nginx", 3.9),
            ("added_p99_ratio_nginx", 2.0),
            ("policy_ratio_10000_to_10", 1.1),
            ("list_500_cpu_us", 900.0),
        ];
        assert_eq!(missed(&report(&figures)), Vec::<String>::new());
        figures.push(("cpu_ratio_nginx", 4.2));
        let missed = missed(&report(&figures));
        assert!(matches!(missed.as_slice(), [one] if one.starts_with("cpu_ratio_nginx is 4.20")));
    }

    #[test]
    fn what_was_not_measured_is_missed_unless_there_was_nothing_to_compare_with() {
        let figures = [("policy_ratio_10000_to_10", 1.0)];
        let missed = missed(&report(&figures));
        assert_eq!(missed, ["list_500_cpu_us was not measured"]);
    }
}
