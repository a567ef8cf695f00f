//! Finds where in a YAML text a key or a value stands.
//!
//! The parser gives positions only with errors, so this asks it to fail exactly at the wanted place and reads the position from
//! that error: quoting, comments, flow style and anchors are then the parser's business, not a second, approximate reader's.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What to look for at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Key,
    Value,
}

/// The position of the key or value at `path` (key names from the top), when the text has it.
pub(super) fn locate(text: &str, path: &[&str], target: Target) -> Option<Position> {
    let walk = Walk { path, target };
    let error = walk
        .deserialize(yaml_serde::Deserializer::from_str(text))
        .err()?;
    position_of(&error)
}

/// The position that an error of the parser carries.
pub(super) fn position_of(error: &yaml_serde::Error) -> Option<Position> {
    error.location().map(|at| Position {
        line: at.line(),
        column: at.column(),
    })
}

/// Goes down the path and fails where it ends.
#[derive(Clone, Copy)]
struct Walk<'p> {
    path: &'p [&'p str],
    target: Target,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    fn arrived<E: Error>(self) -> Result<(), E> {
        if self.path.is_empty() {
            Err(E::custom("here"))
        } else {
            Ok(())
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else {
            return Err(A::Error::custom("here"));
        };
        let key = WantedKey {
            name: first,
            fail: rest.is_empty() && self.target == Target::Key,
        };
        while let Some(found) = map.next_key_seed(key)? {
            if found {
                map.next_value_seed(Self { path: rest, ..self })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.arrived()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.arrived()
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.arrived()
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.arrived()
    }
    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.arrived()
    }
    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.arrived()
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.arrived()
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.arrived()
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.arrived()
    }
    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.arrived()
    }
}

/// A mapping's key: tells whether it is the wanted one, or fails there.
#[derive(Clone, Copy)]
struct WantedKey<'p> {
    name: &'p str,
    fail: bool,
}

impl<'de> DeserializeSeed<'de> for WantedKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl WantedKey<'_> {
    fn compare<E: Error>(self, key: &str) -> Result<bool, E> {
        match (key == self.name, self.fail) {
            (true, true) => Err(E::custom("here")),
            (found, _) => Ok(found),
        }
    }
}

impl<'de> Visitor<'de> for WantedKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        self.compare(key)
    }
    fn visit_bool<E: Error>(self, key: bool) -> Result<bool, E> {
        self.compare(&key.to_string())
    }
    fn visit_i64<E: Error>(self, key: i64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }
    fn visit_u64<E: Error>(self, key: u64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }
    fn visit_f64<E: Error>(self, key: f64) -> Result<bool, E> {
        self.compare(&key.to_string())
    }
    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.compare("null")
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Target, locate};

    const TEXT: &str = "---\n# a comment: with colon\nlog:\n  level: \"INFO\"   # level: 1\n  dir: logs\nnode: {name: n1, url: 'http://x'}\nports:\n  - 1\n";

    fn at(path: &[&str], target: Target) -> Option<(usize, usize)> {
        locate(TEXT, path, target).map(|Position { line, column }| (line, column))
    }

    #[test]
    fn keys_and_values_are_found_in_block_and_flow_style() {
        assert_eq!(at(&["log", "level"], Target::Key), Some((4, 3)));
        assert_eq!(at(&["log", "level"], Target::Value), Some((4, 10)));
        assert_eq!(at(&["node", "url"], Target::Key), Some((6, 18)));
        assert_eq!(at(&["node", "url"], Target::Value), Some((6, 23)));
        assert_eq!(at(&["log"], Target::Key), Some((3, 1)));
        assert_eq!(at(&["ports"], Target::Value), Some((8, 3)));
    }

    #[test]
    fn absent_paths_have_no_position() {
        assert_eq!(at(&["log", "colour"], Target::Key), None);
        assert_eq!(at(&["log", "level", "deeper"], Target::Value), None);
    }
}
