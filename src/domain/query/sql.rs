//! A question, as far as it can be judged before it is asked.

/// Longest question, in bytes.
const LONGEST: usize = 64 << 10;

/// What is wrong with it.
pub(super) fn faults(sql: &str) -> Vec<&'static str> {
    let words = outer_words(sql);
    let mut faults = Vec::new();
    if sql.len() > LONGEST {
        faults.push("is longer than 65536 bytes: make it a view of the database");
    }
    if !matches!(words.first().map(String::as_str), Some("select" | "with")) {
        faults.push("must be one SELECT, or WITH and a SELECT");
    } else if !words.windows(2).any(|pair| pair == ["order", "by"]) {
        faults.push(
            "must end with an ORDER BY that puts every row in its place: rules that compare what was released before go by the places of rows",
        );
    }
    faults
}

/// Words outside of brackets, quotes and comments, in small letters.
fn outer_words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut depth, mut rest) = (0_usize, sql);
    while let Some(c) = rest.chars().next() {
        let in_word = c.is_alphanumeric() || c == '_';
        if in_word && depth == 0 {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        let skipped = match c {
            '(' => {
                depth += 1;
                1
            }
            ')' => {
                depth = depth.saturating_sub(1);
                1
            }
            '\'' | '"' | '`' => 1 + behind(rest.get(1..).unwrap_or_default(), &c.to_string()),
            '-' if rest.starts_with("--") => behind(rest, "\n"),
            '/' if rest.starts_with("/*") => 2 + behind(rest.get(2..).unwrap_or_default(), "*/"),
            c => c.len_utf8(),
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Where a text goes on behind its first `end`.
fn behind(text: &str, end: &str) -> usize {
    text.find(end).map_or(text.len(), |at| at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_order_counts() {
        for sql in [
            "SELECT a FROM t ORDER BY a",
            "-- visits; don't ask\nselect a from t order\n  by 1",
            "/* all */ WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER /* so */ BY a",
            "SELECT 'it''s' AS a, \"order\" FROM t ORDER BY a",
        ] {
            assert!(faults(sql).is_empty(), "{sql}");
        }
        for sql in [
            "SELECT row_number() OVER (ORDER BY a) AS n FROM t",
            "SELECT a FROM (SELECT a FROM t ORDER BY a) x",
            "SELECT a FROM t -- ORDER BY a",
            "SELECT a FROM t /* ORDER BY a",
            "SELECT 'x ORDER BY a' AS a FROM t",
            "SELECT \"order\" by FROM border",
            "DELETE FROM t ORDER BY a",
            "(SELECT a FROM t) ORDER BY a",
            "",
        ] {
            assert_eq!(faults(sql).len(), 1, "{sql}");
        }
        assert_eq!(
            faults(&format!("SELECT 1 ORDER BY 1 {}", " ".repeat(70_000))).len(),
            1
        );
    }
}
