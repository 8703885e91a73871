//! What documents claim: each invariant names a test that exists, and the README shows code that is compiled.

use super::TextFile;

const ARCHITECTURE: &str = "docs/architecture.md";
const FAILURES: &str = "docs/failures.md";
const README: &str = "README.md";
const EXAMPLE: &str = "<!-- example: ";

/// In `docs/architecture.md`, every numbered item under a heading with the word "Invariants" has a line with
/// ``Test: `name` `` or ``Tests: `one`, `two` ``, each the name of a function in the repository's Rust source.
pub(super) fn invariant_faults(files: &[TextFile]) -> Vec<String> {
    let Some(document) = find(files, ARCHITECTURE) else {
        return vec![format!("{ARCHITECTURE} is missing")];
    };
    let mut faults = Vec::new();
    let items = invariants(&document.text);
    if items.is_empty() {
        faults.push(format!(
            "{ARCHITECTURE}: no numbered item under a heading with `Invariants`"
        ));
    }
    for (number, text) in items {
        let names = test_names(&text);
        if names.is_empty() {
            faults.push(format!("{ARCHITECTURE}: invariant {number} names no test"));
        }
        for name in names.iter().filter(|name| !function_exists(files, name)) {
            faults.push(format!(
                "{ARCHITECTURE}: invariant {number} names `{name}`, and there is no such test"
            ));
        }
    }
    faults
}

/// The numbered items of the section, each with its number and all its lines.
fn invariants(text: &str) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('#') {
            inside = line.contains("Invariants");
            continue;
        }
        if !inside {
            continue;
        }
        let number = line.split_once(". ").map(|(head, _)| head);
        if let Some(number) =
            number.filter(|head| !head.is_empty() && head.chars().all(|c| c.is_ascii_digit()))
        {
            items.push((number.to_owned(), String::new()));
        }
        if let Some((_, item)) = items.last_mut() {
            item.push_str(line);
            item.push('\n');
        }
    }
    items
}

/// The names in backticks after `Test:` or `Tests:`, to the end of the item.
fn test_names(item: &str) -> Vec<String> {
    let after = item
        .split_once("Test: ")
        .or_else(|| item.split_once("Tests: "))
        .map_or("", |(_, rest)| rest);
    let quoted = after.split('`').skip(1).step_by(2);
    // A path such as `module::name` is as good as the bare name.
    quoted
        .filter_map(|name| name.rsplit("::").next())
        .map(str::to_owned)
        .collect()
}

fn function_exists(files: &[TextFile], name: &str) -> bool {
    let declaration = format!("fn {name}(");
    files
        .iter()
        .any(|file| file.path.ends_with(".rs") && file.text.contains(&declaration))
}

/// In `docs/failures.md`, the last cell of every row of a table holds names of tests in backticks.
pub(super) fn failure_faults(files: &[TextFile]) -> Vec<String> {
    let Some(document) = find(files, FAILURES) else {
        return vec![format!("{FAILURES} is missing")];
    };
    let mut faults = Vec::new();
    let mut rows = 0_usize;
    let lines: Vec<&str> = document.text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // The row above the rule is the head of a table.
        let is_rule = |line: &&str| line.starts_with("| ---");
        if !line.starts_with('|') || is_rule(line) || lines.get(index + 1).is_some_and(is_rule) {
            continue;
        }
        rows += 1;
        let cell = line.trim_end_matches([' ', '|']).rsplit('|').next();
        let names: Vec<&str> = cell.unwrap_or("").split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            faults.push(format!("{FAILURES}:{}: the row names no test", index + 1));
        }
        for name in names.iter().filter(|name| !function_exists(files, name)) {
            faults.push(format!(
                "{FAILURES}:{}: there is no test `{name}`",
                index + 1
            ));
        }
    }
    if rows == 0 {
        faults.push(format!("{FAILURES}: no table"));
    }
    faults
}

/// In `README.md`, the code block after `<!-- example: path#name -->` is the text of that file between the lines
/// `// example: name` and `// end of example`, indentation apart.
pub(super) fn readme_faults(files: &[TextFile]) -> Vec<String> {
    let Some(readme) = find(files, README) else {
        return vec![format!("{README} is missing")];
    };
    let mut faults = Vec::new();
    let mut parts = readme.text.split(EXAMPLE).skip(1).peekable();
    if parts.peek().is_none() {
        faults.push(format!(
            "{README}: shows no compiled example (`{EXAMPLE}path#name -->`)"
        ));
    }
    for part in parts {
        let marker = part
            .split_once(" -->")
            .and_then(|(marker, rest)| Some((marker.split_once('#')?, rest)));
        let Some(((path, name), rest)) = marker else {
            faults.push(format!(
                "{README}: an example marker is not `{EXAMPLE}path#name -->`"
            ));
            continue;
        };
        let shown = rest
            .split("```")
            .nth(1)
            .and_then(|block| block.split_once('\n'))
            .map(|(_, code)| dedent(code));
        let compiled = find(files, path).and_then(|file| region(&file.text, name));
        match (shown, compiled) {
            (_, None) => faults.push(format!("{README}: `{path}` has no example `{name}`")),
            (Some(shown), Some(compiled)) if shown == compiled => {}
            _ => faults.push(format!(
                "{README}: the block of `{path}#{name}` is not what is compiled"
            )),
        }
    }
    faults
}

fn region(text: &str, name: &str) -> Option<String> {
    let begin = format!("// example: {name}");
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| line.trim() != begin)
        .skip(1)
        .take_while(|line| line.trim() != "// end of example")
        .collect();
    (!lines.is_empty()).then(|| dedent(&lines.join("\n")))
}

/// Takes the indentation that all lines share away, and empty lines at both ends.
fn dedent(code: &str) -> String {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let shared = code
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| indent(&line))
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = code
        .lines()
        .map(|line| line.get(shared..).unwrap_or("").trim_end())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn find<'a>(files: &'a [TextFile], path: &str) -> Option<&'a TextFile> {
    files.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    const SOURCE: &str = "#[test]\nfn held() {}\nfn main() {\n    // example: stack\n    let a = 1;\n\n    if a {\n        b();\n    }\n    // end of example\n}\n";

    #[test]
    fn invariant_with_an_existing_test_passes() {
        let text = "# Architecture\n1. not one\n## Invariants\n1. Holds.\n   Test: `a::held`\n";
        assert!(invariant_faults(&[file(ARCHITECTURE, text), file("a.rs", SOURCE)]).is_empty());
    }

    #[test]
    fn invariant_without_a_test_or_with_an_unknown_one_is_refused() {
        let text =
            "## Invariants\n1. Holds.\n   Tests: `held`,\n   `gone`\n2. Nothing proves it.\n";
        let faults = invariant_faults(&[file(ARCHITECTURE, text), file("a.rs", SOURCE)]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(invariant_faults(&[]).len() == 1);
    }

    #[test]
    fn every_row_of_a_failure_names_tests_that_exist() {
        let table = |cells: &str| {
            let text = format!("# F\n\n| what | tests |\n| --- | --- |\n| disk | {cells} |\n");
            failure_faults(&[file(FAILURES, &text), file("a.rs", SOURCE)])
        };
        assert_eq!(table("`held`"), Vec::<String>::new());
        for bad in ["`held`, `gone`", "held", ""] {
            assert_eq!(table(bad).len(), 1, "{bad}");
        }
        assert_eq!(failure_faults(&[file(FAILURES, "# F\n")]).len(), 1);
        assert_eq!(failure_faults(&[]).len(), 1);
    }

    #[test]
    fn readme_block_equal_to_the_compiled_region_passes() {
        let text =
            "<!-- example: a.rs#stack -->\n```rust\nlet a = 1;\n\nif a {\n    b();\n}\n```\n";
        assert_eq!(
            readme_faults(&[file(README, text), file("a.rs", SOURCE)]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn readme_block_that_differs_or_names_nothing_is_refused() {
        for text in [
            "<!-- example: a.rs#stack -->\n```rust\nlet a = 2;\n```\n",
            "<!-- example: a.rs#other -->\n```rust\nlet a = 1;\n```\n",
            "<!-- example: a.rs -->\n",
            "no example at all",
        ] {
            assert_eq!(
                readme_faults(&[file(README, text), file("a.rs", SOURCE)]).len(),
                1,
                "{text}"
            );
        }
    }
}
