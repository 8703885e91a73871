//! What to paste into MCP clients.

use std::path::Path;

/// A client, and the text to paste.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    /// The client, and where the text goes.
    pub(super) place: &'static str,
    /// The text, which is meant to be copied as it is: it is not wrapped.
    pub(super) text: String,
}

/// For a server at `url`, with a token that is also in `token_file`. Shells read the file, so that the token
/// does not end up in their history; the two JSON files need it in full.
pub(super) fn snippets(name: &str, url: &str, token: &str, token_file: &Path) -> Vec<Snippet> {
    let from_file = format!("\"Authorization: Bearer $(cat {})\"", quoted(token_file));
    // By hand, so that the order is the one that people write.
    let server = |kind: &str| {
        format!(
            "    {name:?}: {{\n{kind}      \"url\": {url:?},\n      \
             \"headers\": {{ \"Authorization\": \"Bearer {token}\" }}\n    }}"
        )
    };
    let file = |key: &str, server: &str| format!("{{\n  {key:?}: {{\n{server}\n  }}\n}}");
    vec![
        Snippet {
            place: "Claude Code",
            text: format!(
                "claude mcp add --transport http {name} {url} \\\n  --header {from_file}"
            ),
        },
        Snippet {
            place: "MCP Inspector (without --cli and --method it opens its page)",
            text: format!(
                "npx @modelcontextprotocol/inspector --cli {url} \\\n  --transport http \\\n  \
                 --header {from_file} \\\n  --method tools/list"
            ),
        },
        Snippet {
            place: "Cursor, in .cursor/mcp.json",
            text: file("mcpServers", &server("")),
        },
        Snippet {
            place: "VS Code, in .vscode/mcp.json",
            text: file("servers", &server("      \"type\": \"http\",\n")),
        },
    ]
}

/// The path for a POSIX shell, also within double quotes' `$(…)`.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) {
        return path;
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn json_snippets_are_json_with_the_token_and_shells_read_the_file() {
        let url = "http://127.0.0.1:1/mcp/invoices";
        let [claude, inspector, cursor, vs_code] =
            snippets("invoices", url, "t.o.k", Path::new("/d/ann-invoices"))
                .try_into()
                .unwrap();
        for shell in [claude, inspector] {
            assert!(!shell.text.contains("t.o.k"), "{}", shell.text);
            assert!(
                shell.text.contains("Bearer $(cat /d/ann-invoices)"),
                "{}",
                shell.text
            );
        }
        let cursor: Value = serde_json::from_str(&cursor.text).unwrap();
        assert_eq!(
            cursor["mcpServers"]["invoices"]["headers"]["Authorization"],
            "Bearer t.o.k"
        );
        let vs_code: Value = serde_json::from_str(&vs_code.text).unwrap();
        assert_eq!(vs_code["servers"]["invoices"]["type"], "http");
    }

    #[test]
    fn a_path_with_a_quote_stays_one_word() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
