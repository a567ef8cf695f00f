//! Reading the vectors under `tests/vectors` (its README says where each file comes from). Tests only.

use serde_json::Value;

use crate::ids::{Address, decode_hex};

/// Parses one vector file.
pub(crate) fn load(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// A JSON string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The bytes of a JSON string of hex digits.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    decode_hex(text(value)).unwrap()
}

/// An address of one byte, over and over.
pub(crate) fn address(n: u8) -> Address {
    format!("0x{}", format!("{n:02x}").repeat(20))
        .parse()
        .unwrap()
}

/// A generator of fixed seed, for tests.
pub(crate) fn rng(seed: u64) -> rand_chacha::ChaCha20Rng {
    use rand_core::SeedableRng as _;
    rand_chacha::ChaCha20Rng::seed_from_u64(seed)
}

/// A "generator" that hands out given bytes: for checking a computation whose random choices are on record.
pub(crate) struct Scripted(pub(crate) Vec<u8>);

impl rand_core::TryRng for Scripted {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut b = [0; 4];
        self.try_fill_bytes(&mut b)?;
        Ok(u32::from_le_bytes(b))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut b = [0; 8];
        self.try_fill_bytes(&mut b)?;
        Ok(u64::from_le_bytes(b))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        let rest = self.0.split_off(out.len());
        out.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}
impl rand_core::TryCryptoRng for Scripted {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Digest, encode_hex};

    /// Splits a case like `hex_to_bytes('0xabc',{'length': 2})` into function, text and options.
    fn parse(case: &str) -> Option<(&str, &str, &str)> {
        let (function, rest) = case.split_once("('")?;
        let (text, options) = rest.split_once('\'')?;
        Some((
            function,
            text,
            options.trim_start_matches([',', ')']).trim_end_matches(')'),
        ))
    }

    #[test]
    fn hex_reads_and_writes_as_the_original() {
        let file = load(include_str!("../../../tests/vectors/hex/hex.json"));
        let mut checked = 0;
        for case in file["cases"].as_array().unwrap() {
            let Some((function, argument, options)) = parse(text(&case["case"])) else {
                continue;
            };
            match (function, options) {
                ("bytes_to_hex", "{}") => assert_eq!(
                    encode_hex(&decode_hex(argument).unwrap()),
                    text(&case["result"])
                ),
                ("hex_to_bytes", "{}") if argument.contains(' ') => {
                    // A departure: Python skips blanks.
                    assert!(decode_hex(argument).is_err());
                }
                ("hex_to_bytes", "{}") if matches!(argument, "0x0" | "abc") => {
                    // A departure: an odd number of digits gets a leading zero also without a length.
                    assert_eq!(encode_hex(&decode_hex(argument).unwrap()).len() % 2, 0);
                }
                ("hex_to_bytes", "{}") => match case.get("result") {
                    Some(result) => {
                        assert_eq!(decode_hex(argument).unwrap(), bytes(result), "{case}")
                    }
                    None => assert!(decode_hex(argument).is_err(), "{case}"),
                },
                ("hex_to_bytes", "{'length': 32}") => {
                    assert_eq!(
                        argument.parse::<Digest>().unwrap().0[..],
                        bytes(&case["result"])
                    );
                }
                _ => continue,
            }
            checked += 1;
        }
        assert!(checked >= 15, "{checked}");
    }
}
