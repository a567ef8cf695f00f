//! Validation as the original reports it: a list of errors with status 422, in parameter order, worded as FastAPI words them.
//!
//! A value that is wrong is replaced by a harmless one and reported; [`FieldErrors::settle`] stops the request before anybody uses it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

/// The original's pattern for ids and hex strings. The text is kept; ours must match from end to end.
pub(crate) const HEX_PATTERN: &str = "0x[0-9a-fA-F]+";
/// The original's pattern for the order of a list; `ascending` matched it there and does not here.
pub(crate) const ORDER_PATTERN: &str = "^asc|desc$";

/// One error, in the original's shape.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct FieldError {
    loc: Vec<Step>,
    msg: Cow<'static, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Context>,
}

/// One step of the way to the offending value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Step {
    /// A parameter, field, `query` or `body`.
    Name(&'static str),
    /// Position in a list or text.
    Index(usize),
}

impl From<&'static str> for Step {
    fn from(name: &'static str) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Context {
    Limit {
        limit_value: i64,
    },
    Pattern {
        pattern: &'static str,
    },
    Json {
        msg: &'static str,
        doc: String,
        pos: usize,
        lineno: usize,
        colno: usize,
    },
}

/// What an integer parameter must be.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct IntRule {
    default: Option<i64>,
    at_least: Option<i64>,
    more_than: Option<i64>,
    at_most: Option<i64>,
}

impl IntRule {
    /// It must be given.
    pub(crate) const REQUIRED: Self = Self {
        default: None,
        at_least: None,
        more_than: None,
        at_most: None,
    };

    /// It may be left out.
    pub(crate) const fn or(default: i64) -> Self {
        Self {
            default: Some(default),
            ..Self::REQUIRED
        }
    }

    /// Lower bound, inclusive.
    pub(crate) const fn at_least(self, limit: i64) -> Self {
        Self {
            at_least: Some(limit),
            ..self
        }
    }

    /// Lower bound, exclusive.
    pub(crate) const fn more_than(self, limit: i64) -> Self {
        Self {
            more_than: Some(limit),
            ..self
        }
    }

    /// Upper bound, inclusive. The original has none; a page must end somewhere.
    pub(crate) const fn at_most(self, limit: i64) -> Self {
        Self {
            at_most: Some(limit),
            ..self
        }
    }
}

/// Entries of a page. Deltaboard asks for 999 nodes at once; the original has no limit.
pub(crate) const PAGE_SIZE: IntRule = IntRule::or(20).more_than(0).at_most(10_000);

/// Collects what is wrong with a request.
#[derive(Debug)]
pub(crate) struct FieldErrors {
    place: &'static str,
    list: Vec<FieldError>,
}

impl FieldErrors {
    /// Errors of parameters in the query string.
    pub(crate) fn query() -> Self {
        Self {
            place: "query",
            list: Vec::new(),
        }
    }

    /// Errors of fields in the body.
    pub(crate) fn body() -> Self {
        Self {
            place: "body",
            list: Vec::new(),
        }
    }

    /// Goes on only if nothing is wrong.
    pub(crate) fn settle(self) -> Result<(), Self> {
        if self.list.is_empty() {
            Ok(())
        } else {
            Err(self)
        }
    }

    /// What was found.
    pub(crate) fn into_list(self) -> Vec<FieldError> {
        self.list
    }

    /// A parameter that must be given.
    pub(crate) fn required<T>(&mut self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.report([name.into()], "field required", "value_error.missing");
        }
        value
    }

    /// An integer in decimal.
    pub(crate) fn int(&mut self, name: &'static str, value: Option<&str>, rule: IntRule) -> i128 {
        let text = match (value, rule.default) {
            (Some(text), _) => text,
            (None, Some(default)) => return i128::from(default),
            (None, None) => {
                self.required::<()>(name, None);
                return 0;
            }
        };
        match parse_int(text) {
            Some(number) => self.bounded(name, number, rule),
            None => {
                self.not_an_integer([name.into()]);
                0
            }
        }
    }

    /// Integers in decimal, at least one.
    pub(crate) fn ints<'a>(
        &mut self,
        name: &'static str,
        values: impl Iterator<Item = &'a str>,
    ) -> Vec<i128> {
        let mut out = Vec::new();
        for (index, text) in values.enumerate() {
            match parse_int(text) {
                Some(number) => out.push(number),
                None => {
                    self.not_an_integer([name.into(), index.into()]);
                    out.push(0);
                }
            }
        }
        if out.is_empty() {
            self.required::<()>(name, None);
        }
        out
    }

    /// `0x` and hex digits. Missing values are reported too.
    pub(crate) fn hex(&mut self, name: &'static str, value: Option<String>) -> String {
        let text = self.required(name, value);
        match text {
            Some(text) if is_hex(&text) => text,
            Some(_) => {
                self.not_matching([name.into()], HEX_PATTERN);
                String::new()
            }
            None => String::new(),
        }
    }

    /// A value that does not match `pattern`.
    pub(crate) fn not_matching<const N: usize>(&mut self, way: [Step; N], pattern: &'static str) {
        self.report(
            way,
            format!("string does not match regex \"{pattern}\""),
            "value_error.str.regex",
        );
        self.context(Context::Pattern { pattern });
    }

    /// A value that is no integer.
    pub(crate) fn not_an_integer<const N: usize>(&mut self, way: [Step; N]) {
        self.report(way, "value is not a valid integer", "type_error.integer");
    }

    /// An error of any other sort.
    pub(crate) fn report<const N: usize>(
        &mut self,
        way: [Step; N],
        msg: impl Into<Cow<'static, str>>,
        kind: &'static str,
    ) {
        let loc = std::iter::once(Step::Name(self.place)).chain(way).collect();
        self.list.push(FieldError {
            loc,
            msg: msg.into(),
            kind,
            ctx: None,
        });
    }

    /// A body that is not JSON, as Python's decoder puts it. `line` and `column` count from 1; `column` is that of the offending character.
    pub(crate) fn not_json(&mut self, msg: &'static str, text: &str, line: usize, column: usize) {
        let before: usize = text
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(|l| l.chars().count())
            .sum();
        let pos = before + column.saturating_sub(1);
        self.report(
            [pos.into()],
            format!("{msg}: line {line} column {column} (char {pos})"),
            "value_error.jsondecode",
        );
        // The original sends the whole document back; its beginning is enough to find the place.
        let doc = text.chars().take(200).collect();
        self.context(Context::Json {
            msg,
            doc,
            pos,
            lineno: line,
            colno: column,
        });
    }

    fn bounded(&mut self, name: &'static str, number: i128, rule: IntRule) -> i128 {
        let broken = [
            (
                rule.at_least,
                number < rule.at_least.map_or(i128::MIN, i128::from),
                "greater than or equal to",
                "value_error.number.not_ge",
            ),
            (
                rule.more_than,
                number <= rule.more_than.map_or(i128::MIN, i128::from),
                "greater than",
                "value_error.number.not_gt",
            ),
            (
                rule.at_most,
                number > rule.at_most.map_or(i128::MAX, i128::from),
                "less than or equal to",
                "value_error.number.not_le",
            ),
        ];
        for (limit, is_broken, words, kind) in broken {
            if let (Some(limit_value), true) = (limit, is_broken) {
                self.report(
                    [name.into()],
                    format!("ensure this value is {words} {limit_value}"),
                    kind,
                );
                self.context(Context::Limit { limit_value });
                return 0;
            }
        }
        number
    }

    fn context(&mut self, ctx: Context) {
        if let Some(last) = self.list.last_mut() {
            last.ctx = Some(ctx);
        }
    }
}

/// A page number beyond the type is beyond the last page as well.
pub(crate) fn clamp(number: i128) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Whether `text` is `0x` and at least one hex digit, and nothing else.
pub(crate) fn is_hex(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// An integer from a JSON value, with the original's readiness to take `"1"` for 1 (and without its readiness to take 1.9 for 1).
pub(crate) fn json_int(value: &Value) -> Option<i128> {
    match value {
        Value::Number(n) => n
            .as_i64()
            .map(i128::from)
            .or_else(|| n.as_u64().map(i128::from)),
        Value::String(text) => parse_int(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Decimal digits with an optional sign and white space around. More than 38 digits are not taken for a number.
fn parse_int(text: &str) -> Option<i128> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 38 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(errors: FieldErrors) -> String {
        serde_json::to_string(&errors.list).unwrap()
    }

    #[test]
    fn several_faults_come_in_order_with_their_context() {
        let mut f = FieldErrors::query();
        f.int("page", Some("0"), IntRule::or(1).at_least(1));
        f.int("page_size", Some("0"), IntRule::or(20).more_than(0));
        f.int("start", Some("x"), IntRule::REQUIRED);
        assert_eq!(
            shown(f),
            r#"[{"loc":["query","page"],"msg":"ensure this value is greater than or equal to 1","type":"value_error.number.not_ge","ctx":{"limit_value":1}},{"loc":["query","page_size"],"msg":"ensure this value is greater than 0","type":"value_error.number.not_gt","ctx":{"limit_value":0}},{"loc":["query","start"],"msg":"value is not a valid integer","type":"type_error.integer"}]"#
        );
    }

    #[test]
    fn patterns_match_from_end_to_end() {
        assert!(is_hex("0xdead"));
        for bad in ["0x", "dead", "0x1/../..", "0x1\n", " 0x1"] {
            assert!(!is_hex(bad), "{bad:?}");
        }
    }

    #[test]
    fn huge_numbers_are_numbers_up_to_a_point() {
        assert_eq!(
            parse_int(&format!("1{}", "0".repeat(30))),
            Some(10_i128.pow(30))
        );
        assert_eq!(parse_int(&"9".repeat(39)), None);
        assert_eq!(parse_int("-1"), Some(-1));
        for bad in ["", "+", "1_0", "1.0", "0x1", "١"] {
            assert_eq!(parse_int(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn json_positions_count_characters_over_lines() {
        let mut f = FieldErrors::body();
        f.not_json("Expecting value", "{\n \"é\": ?}", 2, 7);
        assert!(shown(f).contains(r#""loc":["body",8]"#));
    }
}
