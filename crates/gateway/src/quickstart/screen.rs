//! How the tour looks: 80 columns, and no colour that a light or a dark terminal would swallow.

use std::{
    fmt::{self, Write as _},
    path::Path,
};

use super::paste::Snippet;

const WIDTH: usize = 80;
/// Where texts start, after the margin and the sign.
const INDENT: usize = 6;

/// One step of the tour, as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Counted from 1.
    pub(super) number: usize,
    /// What the step shows.
    pub(super) title: &'static str,
    /// What went over the wire and what was found, in order.
    pub(super) lines: Vec<Line>,
    /// Whether it did what it should.
    pub(super) verdict: Verdict,
}

/// One thing that happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A request.
    Sent(String),
    /// What came back.
    Got(String),
    /// What the audit log holds.
    Logged(String),
    /// Who sees what.
    Table(Table),
}

/// Names in groups, and for each person whether the name is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Column headings: the persons.
    pub(super) people: Vec<&'static str>,
    /// A name and a tick per person.
    pub(super) rows: Vec<(String, Vec<bool>)>,
}

/// `pay_invoice: Ann; …`
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, ticks)) in self.rows.iter().enumerate() {
            let who = self.people.iter().zip(ticks).filter(|(_, tick)| **tick);
            let who: Vec<_> = who.map(|(person, _)| *person).collect();
            let who = if who.is_empty() {
                "nobody".to_owned()
            } else {
                who.join(" and ")
            };
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{name}: {who}")?;
        }
        Ok(())
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should; the sentence says what just happened.
    AsSaid(String),
    /// Otherwise.
    Otherwise {
        /// What should have been.
        expected: String,
        /// What was.
        got: String,
    },
}

impl Step {
    /// Whether it did what it should.
    #[must_use]
    pub(crate) const fn passed(&self) -> bool {
        matches!(self.verdict, Verdict::AsSaid(_))
    }
}

/// Colours or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// ANSI sequences.
    Ansi,
    /// Text only.
    Plain,
}

/// The styles in use. Bold, faint, green and red are legible on light and on dark ground.
#[derive(Clone, Copy)]
enum Style {
    Bold,
    Faint,
    Good,
    Bad,
}

impl Paint {
    fn on(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => "1",
            Style::Faint => "2",
            Style::Good => "32",
            Style::Bad => "1;31",
        };
        match self {
            Self::Ansi if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Ansi | Self::Plain => text.to_owned(),
        }
    }

    /// A heading.
    #[must_use]
    pub(super) fn heading(self, text: &str) -> String {
        self.on(Style::Bold, text)
    }

    /// A step with its verdict.
    #[must_use]
    pub(crate) fn step(self, step: &Step) -> String {
        let title = format!("{:>3}  {}", step.number, step.title);
        let mut text = format!("{}\n", self.on(Style::Bold, &title));
        for line in &step.lines {
            match line {
                Line::Sent(what) => self.hang(&mut text, "→", what, Style::Faint),
                Line::Got(what) => self.hang(&mut text, "←", what, Style::Faint),
                Line::Logged(what) => self.hang(&mut text, "≡", what, Style::Faint),
                Line::Table(table) => text.push_str(&self.table(table)),
            }
        }
        match &step.verdict {
            Verdict::AsSaid(what) => self.verdict(&mut text, "✓", Style::Good, what),
            Verdict::Otherwise { expected, got } => {
                self.verdict(&mut text, "✗", Style::Bad, &format!("expected: {expected}"));
                self.verdict(&mut text, " ", Style::Bad, &format!("got:      {got}"));
            }
        }
        text.push('\n');
        text
    }

    /// The last line of the tour.
    #[must_use]
    pub(crate) fn summary(self, passed: usize, of: usize) -> String {
        if passed == of {
            return self.on(
                Style::Good,
                &format!("✓ All {of} steps did what they said."),
            );
        }
        self.on(
            Style::Bad,
            &format!(
                "✗ {} of {of} steps did not do what they said.",
                of.saturating_sub(passed)
            ),
        )
    }

    fn hang(self, text: &mut String, sign: &str, what: &str, style: Style) {
        for (index, line) in wrap(what, WIDTH - INDENT - 2).iter().enumerate() {
            let sign = if index == 0 { sign } else { " " };
            let line = format!("{:INDENT$}{sign} {line}", "");
            text.push_str(&self.on(style, &line));
            text.push('\n');
        }
    }

    fn verdict(self, text: &mut String, sign: &str, style: Style, what: &str) {
        for (index, line) in wrap(what, WIDTH - INDENT - 2).iter().enumerate() {
            let sign = if index == 0 {
                self.on(style, sign)
            } else {
                " ".to_owned()
            };
            // Writing to a String cannot fail.
            let _written = writeln!(text, "{:INDENT$}{sign} {line}", "");
        }
    }

    fn table(self, table: &Table) -> String {
        let left = INDENT + 4;
        let names = table
            .rows
            .iter()
            .map(|(name, _)| name.chars().count())
            .max()
            .unwrap_or(0)
            + 3;
        let mut head = format!("{:left$}{:names$}", "", "");
        for person in &table.people {
            let _written = write!(head, "{person:^10}");
        }
        let mut text = format!("\n{}\n", self.on(Style::Faint, head.trim_end()));
        for (name, ticks) in &table.rows {
            let _written = write!(text, "{:left$}{name:names$}", "");
            let mut cells = String::new();
            for tick in ticks {
                // Painted last: the sequences would count as columns.
                let (sign, style) = if *tick {
                    ("●", Style::Good)
                } else {
                    ("·", Style::Faint)
                };
                cells.push_str(&format!("{sign:^10}").replace(sign, &self.on(style, sign)));
            }
            text.push_str(cells.trim_end());
            text.push('\n');
        }
        text.push('\n');
        text
    }
}

/// What there is, before the tour.
pub(super) fn introduction(paint: Paint, base: &str) -> String {
    let rows = [
        ("Ann", "finance: reads, and pays up to 1000 EUR"),
        ("Ben", "support: reads, and adds notes"),
        ("report-bot", "an agent that acts for Ann: reads"),
        ("invoices, notes", "two MCP servers behind the gateway"),
        ("gateway", base),
    ];
    let mut text = format!("{}\n", paint.heading("Gatewright quickstart"));
    let about = "Each step is a real request through the layers that `gatewright serve` stacks. What comes back \
        is compared with what should.";
    for line in wrap(about, WIDTH) {
        let _written = writeln!(text, "{line}");
    }
    text.push('\n');
    for (name, what) in rows {
        let name = format!("{name:<17}");
        let _written = writeln!(text, "  {}{what}", paint.heading(&name));
    }
    text.push('\n');
    text
}

/// What to do with it, after the tour. `program` is how the reader calls us.
pub(super) fn invitation(paint: Paint, snippets: &[Snippet], dir: &Path, program: &str) -> String {
    let dir = dir.display();
    let mut text = format!("\n{}\n", paint.heading("Now with your own client"));
    for line in [
        "The gateway stays up until Ctrl-C; the tokens are good until then, for a week at",
        "most. You are Ann: list the invoices, pay 100 of INV-1002, try 5200 of INV-1003.",
    ] {
        let _written = writeln!(text, "{line}");
    }
    for Snippet {
        place,
        text: snippet,
    } in snippets
    {
        let _written = writeln!(text, "\n{}\n{snippet}", paint.heading(place));
    }
    let _written = writeln!(text, "\n{}", paint.heading(&format!("In {dir}")));
    let reload = format!("{program} apply --config {dir}/gatewright.toml -f {dir}/org.toml");
    let tail = format!("{program} audit tail -f --dir {dir}/data/audit");
    for (name, what) in [
        ("tokens", "to be Ben, or the agent, or at the other server"),
        (
            "org.toml",
            "who may do what; change it, and put it in force:",
        ),
        ("", reload.as_str()),
        ("data/audit", "the log; watch it:"),
        ("", tail.as_str()),
    ] {
        let _written = writeln!(text, "  {name:<12}{what}");
    }
    text
}

/// Breaks a text into lines of at most `width` columns, at spaces where there are any.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if columns > 0 && columns + 1 + word.len() > width {
            lines.push(std::mem::take(&mut line));
            columns = 0;
        }
        if columns > 0 {
            line.push(' ');
            columns += 1;
        }
        while columns + word.len() > width {
            let rest = word.split_off(width.saturating_sub(columns));
            line.extend(word);
            lines.push(std::mem::take(&mut line));
            columns = 0;
            word = rest;
        }
        columns += word.len();
        line.extend(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(verdict: Verdict) -> Step {
        let table = Table {
            people: vec!["Ann", "Ben"],
            rows: vec![("pay_invoice".to_owned(), vec![true, false])],
        };
        let url = format!("a header of {}", "x".repeat(100));
        Step {
            number: 2,
            title: "Two people",
            lines: vec![
                Line::Sent("tools/list".to_owned()),
                Line::Got(url),
                Line::Logged("allow".to_owned()),
                Line::Table(table),
            ],
            verdict,
        }
    }

    #[test]
    fn nothing_is_wider_than_the_terminal() {
        let long = "words ".repeat(40);
        for verdict in [
            Verdict::AsSaid(long.clone()),
            Verdict::Otherwise {
                expected: long,
                got: "y".repeat(200),
            },
        ] {
            let text = Paint::Plain.step(&step(verdict));
            for line in text.lines() {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
    }

    #[test]
    fn plain_text_has_no_escape_sequences_and_colour_adds_only_those() {
        let step = step(Verdict::AsSaid("Done.".to_owned()));
        let (plain, ansi) = (Paint::Plain.step(&step), Paint::Ansi.step(&step));
        assert!(!plain.contains('\x1b'), "{plain}");
        let mut stripped = String::new();
        let mut parts = ansi.split('\x1b');
        stripped.push_str(parts.next().unwrap());
        for part in parts {
            stripped.push_str(part.split_once('m').unwrap().1);
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_failed_step_says_what_was_expected_and_what_came() {
        let failed = step(Verdict::Otherwise {
            expected: "403".to_owned(),
            got: "200".to_owned(),
        });
        let text = Paint::Plain.step(&failed);
        assert!(text.contains("✗ expected: 403\n"), "{text}");
        assert!(text.contains("got:      200\n"), "{text}");
        assert!(!failed.passed());
        assert!(Paint::Plain.summary(8, 9).contains("1 of 9"));
    }

    #[test]
    fn long_words_break_and_no_column_is_lost() {
        assert_eq!(wrap("ab cd ef", 5), ["ab cd", "ef"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a bcdefgh", 4), ["a", "bcde", "fgh"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
