//! Tables for people.

use std::io::{self, Write};

use serde_json::Value;

/// Columns as wide as what is in them; the last ends with its line.
pub(super) fn write(out: &mut impl Write, heads: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.map(|cell| cell.chars().count());
        let head = heads.get(column).map_or(0, |head| head.len());
        cells.max().unwrap_or(0).max(head)
    };
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let pad = (width(column) + 2).saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', pad));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The value under a name of an answer, as a cell.
pub(super) fn of(value: &Value, name: &str) -> String {
    cell(value.get(name).unwrap_or(&Value::Null))
}

/// The list under a name of an answer.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

/// A value as a cell: `-` for nothing, lists with spaces between. What a terminal might obey is written out.
pub(super) fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_obey_nothing() {
        let rows = [
            vec!["ann".to_owned(), cell(&json!(["a", "b"]))],
            vec![cell(&json!("a\u{1b}[2J")), cell(&Value::Null)],
        ];
        let mut out = Vec::new();
        write(&mut out, &["WHO", "WHAT"], &rows).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "WHO         WHAT\nann         a b\na\\u{1b}[2J  -\n");
    }
}
