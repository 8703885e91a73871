//! What was measured, for people and for programs.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use serde_json::{Map, Value, json};

/// Somebody's figures, one of each kind for each round.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cpu_us: Vec<f64>,
    pub(crate) rates: Vec<f64>,
    pub(crate) p50_ms: Vec<f64>,
    pub(crate) p99_ms: Vec<f64>,
    pub(crate) calls: u64,
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            cpu_us: Vec::new(),
            rates: Vec::new(),
            p50_ms: Vec::new(),
            p99_ms: Vec::new(),
            calls: 0,
        }
    }
}

/// All figures of a run.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    pub(crate) rows: Vec<Row>,
    figures: BTreeMap<String, f64>,
    notes: BTreeMap<&'static str, &'static str>,
}

impl Report {
    pub(crate) const fn new(machine: String) -> Self {
        Self {
            machine,
            rows: Vec::new(),
            figures: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    pub(crate) fn figure(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    pub(crate) fn note(&mut self, row: &'static str, text: &'static str) {
        self.notes.insert(row, text);
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.figures.get(name).copied()
    }

    /// Works out what compares rows.
    pub(crate) fn finish(&mut self) {
        let direct = self.rows.iter().find(|row| row.name == "direct");
        let (p50, p99) =
            direct.map_or((0.0, 0.0), |row| (median(&row.p50_ms), median(&row.p99_ms)));
        let mut figures = BTreeMap::new();
        for row in &self.rows {
            let mut add =
                |figure: &str, value: f64| figures.insert(format!("{}_{figure}", row.name), value);
            if !row.cpu_us.is_empty() {
                add("cpu_us", median(&row.cpu_us));
            }
            add("rate", median(&row.rates));
            add("p50_ms", median(&row.p50_ms));
            add("p99_ms", median(&row.p99_ms));
            if row.name != "direct" {
                add("added_p50_ms", median(&row.p50_ms) - p50);
                add("added_p99_ms", median(&row.p99_ms) - p99);
            }
        }
        self.figures.append(&mut figures);
        for (figure, of, to) in [
            ("cpu_ratio_nginx", "gatewright_cpu_us", "nginx_cpu_us"),
            (
                "added_p99_ratio_nginx",
                "gatewright_added_p99_ms",
                "nginx_added_p99_ms",
            ),
            (
                "gateway_ratio_10000_to_10",
                "gatewright_cpu_us_10000_permits",
                "gatewright_cpu_us_10_permits",
            ),
        ] {
            if let (Some(of), Some(to)) = (self.get(of), self.get(to))
                && to > 0.0
            {
                self.figure(figure, of / to);
            }
        }
    }

    pub(crate) fn print(&self) {
        println!("\n{}", self.machine);
        println!(
            "\n{:<14} {:>12} {:>12} {:>10} {:>10} {:>12} {:>12}",
            "", "cpu µs/call", "calls/s", "p50 ms", "p99 ms", "added p50", "added p99"
        );
        for row in &self.rows {
            let shown = |figure: &str, digits: usize| {
                self.get(&format!("{}_{figure}", row.name))
                    .map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
            };
            println!(
                "{:<14} {:>12} {:>12} {:>10} {:>10} {:>12} {:>12}",
                row.name,
                shown("cpu_us", 1),
                shown("rate", 0),
                shown("p50_ms", 3),
                shown("p99_ms", 3),
                shown("added_p50_ms", 3),
                shown("added_p99_ms", 3),
            );
        }
        for (row, text) in &self.notes {
            println!("{row:<14} {text}");
        }
        println!();
        for (name, value) in &self.figures {
            if !self
                .rows
                .iter()
                .any(|row| name.starts_with(&format!("{}_", row.name)))
                || name.contains("permits")
            {
                println!("{name:<36} {value:>12.3}");
            }
        }
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let mut report: Map<String, Value> = self
            .figures
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        report.insert("machine".to_owned(), json!(self.machine));
        report.insert("notes".to_owned(), json!(self.notes));
        let rounds: Map<String, Value> = self
            .rows
            .iter()
            .map(|row| {
                let rounds = json!({
                    "cpu_us": row.cpu_us, "rate": row.rates, "p50_ms": row.p50_ms, "p99_ms": row.p99_ms,
                });
                (row.name.clone(), rounds)
            })
            .collect();
        report.insert("rounds".to_owned(), Value::Object(rounds));
        fs::write(file, serde_json::to_string_pretty(&Value::Object(report))?)?;
        Ok(())
    }
}

/// The middle one; the mean of the middle two; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => at(len / 2),
        len => f64::midpoint(at(len / 2 - 1), at(len / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
    }
}
