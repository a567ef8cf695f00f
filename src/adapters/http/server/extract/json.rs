//! JSON bodies as fields to be checked one by one.
//!
//! A typed decoder would stop at the first error and say it in its own words; clients know the original's list.

use serde_json::{Map, Value};
use warp::http::HeaderMap;
use warp::http::header::CONTENT_TYPE;

use super::body::{BodyError, BodyStream, Memory, read_whole};
use super::validation::{FieldErrors, HEX_PATTERN, Step, is_hex, json_int};

/// The fields of a JSON object.
pub(crate) struct Fields(Map<String, Value>);

/// Values in one body. The text is bounded already; this bounds what it unfolds into.
const MAX_VALUES: usize = 200_000;

/// Why a body is not taken for fields.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoFields {
    /// It did not come as it should.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// It would unfold into too much.
    #[error("the body has more than {MAX_VALUES} values")]
    TooMany,
    /// It is no JSON object.
    #[error("the body is no JSON object")]
    Other(FieldErrors),
}

impl Fields {
    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn read(
        headers: &HeaderMap,
        body: &mut BodyStream,
        limit: usize,
        memory: &Memory,
    ) -> Result<Self, NoFields> {
        let is_json = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.to_str().is_ok_and(names_json));
        read_whole(body, limit, memory, |bytes| Self::parse(bytes, is_json)).await?
    }

    fn parse(bytes: &[u8], is_json: bool) -> Result<Self, NoFields> {
        let mut errors = FieldErrors::body();
        if bytes.is_empty() {
            errors.report([], "field required", "value_error.missing");
        } else if !is_json {
            errors.report([], "value is not a valid dict", "type_error.dict");
        } else if bytes
            .iter()
            .filter(|b| matches!(b, b',' | b'[' | b'{'))
            .count()
            > MAX_VALUES
        {
            return Err(NoFields::TooMany);
        } else {
            match serde_json::from_slice(bytes) {
                Ok(Value::Object(fields)) => return Ok(Self(fields)),
                Ok(_) => errors.report([], "value is not a valid dict", "type_error.dict"),
                Err(error) => {
                    let text = String::from_utf8_lossy(bytes);
                    errors.not_json(
                        in_words_of_python(&error),
                        &text,
                        error.line(),
                        error.column(),
                    );
                }
            }
        }
        Err(NoFields::Other(errors))
    }

    /// A text.
    pub(crate) fn text(&self, errors: &mut FieldErrors, name: &'static str) -> String {
        text_of(self.0.get(name), errors, [name.into()])
    }

    /// A text of `0x` and hex digits.
    pub(crate) fn hex(&self, errors: &mut FieldErrors, name: &'static str) -> String {
        hex_of(self.0.get(name), errors, [name.into()])
    }

    /// An integer.
    pub(crate) fn int(&self, errors: &mut FieldErrors, name: &'static str) -> i128 {
        let Some(value) = errors.required(name, self.0.get(name)) else {
            return 0;
        };
        json_int(value).unwrap_or_else(|| {
            errors.not_an_integer([name.into()]);
            0
        })
    }

    /// A list of objects, each read by `read`, which gets its fields and its place.
    pub(crate) fn objects<T>(
        &self,
        errors: &mut FieldErrors,
        name: &'static str,
        mut read: impl FnMut(&Item<'_>, &mut FieldErrors) -> T,
    ) -> Vec<T> {
        match errors.required(name, self.0.get(name)) {
            Some(Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match item {
                        Value::Object(fields) => out.push(read(
                            &Item {
                                list: name,
                                index,
                                fields,
                            },
                            errors,
                        )),
                        _ => errors.report(
                            [name.into(), index.into()],
                            "value is not a valid dict",
                            "type_error.dict",
                        ),
                    }
                }
                out
            }
            Some(_) => {
                errors.report(
                    [name.into()],
                    "value is not a valid list",
                    "type_error.list",
                );
                Vec::new()
            }
            None => Vec::new(),
        }
    }
}

/// One object in a list.
pub(crate) struct Item<'a> {
    list: &'static str,
    index: usize,
    fields: &'a Map<String, Value>,
}

impl Item<'_> {
    /// A text.
    pub(crate) fn text(&self, errors: &mut FieldErrors, name: &'static str) -> String {
        text_of(self.fields.get(name), errors, self.way(name))
    }

    /// A text of `0x` and hex digits.
    pub(crate) fn hex(&self, errors: &mut FieldErrors, name: &'static str) -> String {
        hex_of(self.fields.get(name), errors, self.way(name))
    }

    fn way(&self, name: &'static str) -> [Step; 3] {
        [self.list.into(), self.index.into(), name.into()]
    }
}

fn text_of<const N: usize>(
    value: Option<&Value>,
    errors: &mut FieldErrors,
    way: [Step; N],
) -> String {
    match value {
        Some(Value::String(text)) => return text.clone(),
        Some(Value::Number(number)) => return number.to_string(),
        Some(_) => errors.report(way, "str type expected", "type_error.str"),
        None => errors.report(way, "field required", "value_error.missing"),
    }
    String::new()
}

fn hex_of<const N: usize>(
    value: Option<&Value>,
    errors: &mut FieldErrors,
    way: [Step; N],
) -> String {
    match value {
        Some(Value::String(text)) if is_hex(text) => text.clone(),
        Some(Value::String(_) | Value::Number(_)) => {
            errors.not_matching(way, HEX_PATTERN);
            String::new()
        }
        other => text_of(other, errors, way),
    }
}

fn names_json(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Clients of the original see the messages of Python's decoder.
fn in_words_of_python(error: &serde_json::Error) -> &'static str {
    let text = error.to_string();
    let starts = [
        (
            "key must be a string",
            "Expecting property name enclosed in double quotes",
        ),
        (
            "trailing comma",
            "Expecting property name enclosed in double quotes",
        ),
        (
            "EOF while parsing an object",
            "Expecting property name enclosed in double quotes",
        ),
        (
            "EOF while parsing a string",
            "Unterminated string starting at",
        ),
        ("expected `:`", "Expecting ':' delimiter"),
        ("expected `,`", "Expecting ',' delimiter"),
        ("trailing characters", "Extra data"),
    ];
    starts
        .iter()
        .find(|(start, _)| text.starts_with(start))
        .map_or("Expecting value", |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> String {
        match Fields::parse(body.as_bytes(), true) {
            Ok(_) => "ok".to_owned(),
            Err(NoFields::Other(errors)) => serde_json::to_string(&errors.into_list()).unwrap(),
            Err(other) => other.to_string(),
        }
    }

    #[test]
    fn broken_json_is_answered_as_recorded() {
        assert_eq!(
            answer("{bad"),
            r#"[{"loc":["body",1],"msg":"Expecting property name enclosed in double quotes: line 1 column 2 (char 1)","type":"value_error.jsondecode","ctx":{"msg":"Expecting property name enclosed in double quotes","doc":"{bad","pos":1,"lineno":1,"colno":2}}]"#
        );
    }

    #[test]
    fn what_is_no_object_is_no_dict() {
        for body in ["[]", "1", "null", "\"x\""] {
            assert!(answer(body).contains("value is not a valid dict"), "{body}");
        }
        assert!(answer("").contains("field required"));
    }

    #[test]
    fn a_body_cannot_unfold_into_millions_of_values() {
        let nested = format!("[{}1]", "1,".repeat(MAX_VALUES));
        assert!(answer(&nested).contains("more than"));
        assert!(answer(&"[".repeat(10_000)).contains("Expecting value"));
    }
}
