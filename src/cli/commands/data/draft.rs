//! A draft of a table's catalogue, for its owner to read, to change and to paste.
//!
//! What is in the data is told in comments only, so that a draft which is pasted as it is publishes names and plain types.

use std::fmt::{self, Write as _};

use crate::bootstrap::{ColumnKind, ColumnProfile, TableProfile};
use delta_domain::ids::DatasetName;
use delta_domain::policy::{Policy, Role};

/// Levels that a comment tells.
const LEVELS: usize = 12;

/// The draft. Columns that the rules hide are left out.
///
/// # Errors
/// None: a string takes everything.
pub(super) fn draft(
    name: &DatasetName,
    rules: &Policy,
    profile: &TableProfile,
) -> Result<String, fmt::Error> {
    let mut text = format!(
        "# A draft: nothing of it is published. What the data has stands behind #, for your eyes; write what can be, not what is.\n\
         # Paste it beside the rules of {name}, and take away what nobody shall read.\n\
         datasets:\n  {}:\n    catalogue:\n      # description: what one row is, of whom, from when\n      columns:\n",
        quoted(name.as_str())
    );
    for column in &profile.columns {
        let role = rules.columns.as_ref();
        let role = role.and_then(|roles| roles.get(column.name.trim()));
        if role != Some(&Role::Hidden) {
            line(&mut text, column)?;
        }
    }
    let count = profile.rows;
    writeln!(
        text,
        "      # rows: rounded  # {count} rows: in one digit, and below 100 not at all\n      # rules: shown   # approval, kinds, members, colluders, until"
    )?;
    Ok(text)
}

fn line(text: &mut String, column: &ColumnProfile) -> fmt::Result {
    let kind = match column.kind {
        ColumnKind::Empty => "",
        ColumnKind::Whole => "type: integer",
        ColumnKind::Number => "type: float",
        ColumnKind::Truth => "type: boolean",
        ColumnKind::Date => "type: date",
        ColumnKind::Text => "type: string",
    };
    let mut seen = Vec::new();
    if let Some((low, high)) = column.range {
        seen.push(format!("range: [{low}, {high}]"));
    }
    if let Some(levels) = &column.levels {
        let shown: Vec<String> = levels.keys().take(LEVELS).map(|l| quoted(l)).collect();
        let more = if levels.len() > LEVELS { ", ..." } else { "" };
        seen.push(format!("levels: [{}{more}]", shown.join(", ")));
    }
    if column.missing > 0 {
        seen.push(format!("{} missing", column.missing));
    }
    let name = quoted(column.name.trim());
    let seen = match seen.is_empty() {
        true => String::new(),
        false => format!("  # {}", seen.join("; ")),
    };
    writeln!(text, "        {name}: {{ {kind} }}{seen}")
}

/// As YAML reads it back, whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn column(name: &str, kind: ColumnKind) -> ColumnProfile {
        ColumnProfile {
            name: name.to_owned(),
            kind,
            missing: 0,
            range: None,
            levels: None,
            text_at: None,
        }
    }

    #[test]
    fn a_draft_that_is_pasted_publishes_names_and_types_alone() {
        let profile = TableProfile {
            rows: 534,
            columns: vec![
                ColumnProfile {
                    range: Some((18.0, 97.0)),
                    missing: 3,
                    ..column("age", ColumnKind::Whole)
                },
                ColumnProfile {
                    levels: Some(BTreeMap::from([("f\n#x".to_owned(), 5)])),
                    ..column("sex: \"f\"\n", ColumnKind::Text)
                },
                column("name", ColumnKind::Text),
                column("gap", ColumnKind::Empty),
            ],
            notes: Vec::new(),
        };
        let rules = Policy {
            columns: Some(BTreeMap::from([("name".to_owned(), Role::Hidden)])),
            ..Policy::default()
        };
        let text = draft(&"a b.csv".parse().unwrap(), &rules, &profile).unwrap();
        assert!(text.contains("# range: [18, 97]; 3 missing"), "{text}");
        let read: serde_json::Value = yaml_serde::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "columns": {
                "age": {"type": "integer"},
                "sex: \"f\"": {"type": "string"},
                "gap": {},
            }
        });
        assert_eq!(read["datasets"]["a b.csv"]["catalogue"], expected);
    }
}
