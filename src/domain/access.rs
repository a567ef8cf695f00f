//! Who may use a node's API beyond what members of a round may: scopes, tokens, and networks that are trusted without one.
//!
//! A token is 32 random bytes. Its text is shown once to whoever is to use it; the node keeps its SHA-256 only, which is safe without
//! salt or stretching because nobody can guess 32 random bytes. Which endpoint asks for which scope stands in the table of endpoints
//! (`adapters/http/server/routes.rs`).

mod network;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

pub use network::{Network, NetworkError, machine};

use crate::ids::{Digest, IdError};
use crate::secret::Secret;
use crate::time::Timestamp;

/// What a token is good for. No scope contains another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To submit tasks, and to cancel them.
    Submit,
    /// To fetch results.
    Result,
    /// To see tasks, their progress and logs, and the nodes of the network.
    Read,
    /// To decide about tasks that wait for the owner's word.
    Approve,
    /// To decide what this node takes part in.
    Admin,
    /// To read what the node measures of itself.
    Metrics,
}

impl Scope {
    /// Every scope, in the order in which they are listed.
    pub const ALL: [Self; 6] = [
        Self::Submit,
        Self::Result,
        Self::Read,
        Self::Approve,
        Self::Admin,
        Self::Metrics,
    ];

    /// Its name in files, on the command line and in the OpenAPI document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Result => "result",
            Self::Read => "read",
            Self::Approve => "approve",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: there are submit, result, read, approve, admin and metrics")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or_else(|| UnknownScope(text.chars().take(80).collect()))
    }
}

/// A token's name: 1 to 64 letters, digits, `.`, `_` and `-`, the first a letter or digit. Not secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenName(String);

impl TokenName {
    /// The name of the token that a node makes for itself: the command line on its machine uses it.
    #[must_use]
    pub fn own() -> Self {
        Self("own".into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenName {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let rule = "expected 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit";
        let ok = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        ok.then(|| Self(text.to_owned()))
            .ok_or_else(|| IdError::new("token name", text, rule))
    }
}

impl TryFrom<String> for TokenName {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TokenName> for String {
    fn from(name: TokenName) -> Self {
        name.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a token's text begins with, so that people and scanners know it when they see one.
const PREFIX: &str = "delta_";
/// Bytes of a token.
const TOKEN_BYTES: usize = 32;

/// A token as its holder has it. Text form: `delta_` and 64 lower-case hex digits.
#[derive(Debug, Clone)]
pub struct TokenSecret(Secret<TOKEN_BYTES>);

impl TokenSecret {
    /// Draws one.
    pub fn draw(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(Secret::draw(rng))
    }

    /// Its text, for the one time that it is shown or written down.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let hex = Zeroizing::new(crate::ids::encode_hex(self.0.expose()));
        Zeroizing::new(format!("{PREFIX}{}", hex.trim_start_matches("0x")))
    }

    /// What the node keeps of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update(b"delta token 1\0");
        hash.update(self.0.expose());
        Digest(hash.finalize().into())
    }
}

/// A text that is no token. It does not say the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no token: one is delta_ and 64 lower-case hex digits")]
pub struct NoToken;

impl FromStr for TokenSecret {
    type Err = NoToken;

    /// Reads exactly one spelling of each token.
    fn from_str(text: &str) -> Result<Self, NoToken> {
        let digits = text.strip_prefix(PREFIX).ok_or(NoToken)?;
        let canonical = digits.len() == 2 * TOKEN_BYTES
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(NoToken);
        }
        let bytes = Zeroizing::new(crate::ids::decode_hex(digits).map_err(|_| NoToken)?);
        let bytes: [u8; TOKEN_BYTES] = bytes.as_slice().try_into().map_err(|_| NoToken)?;
        Ok(Self(Secret::new(bytes)))
    }
}

/// A token as the node keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What people call it.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// SHA-256 of it ([`TokenSecret::digest`]).
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is good for nothing; `None`: it stays good.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Why a token opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// None has this digest.
    #[error("the token is not known here")]
    Unknown,
    /// Its time is over.
    #[error("the token {0} has expired")]
    Expired(TokenName),
    /// It is good for other things.
    #[error("the token {0} does not have the scope {1}")]
    WrongScope(TokenName, Scope),
}

/// Why a token cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Names are unique.
    #[error("there is a token {0} already: revoke it first, or choose another name")]
    NameTaken(TokenName),
    /// Each request that shows a token is compared with all of them.
    #[error("there are {0} tokens, which is the most: revoke some")]
    Full(usize),
}

/// The tokens of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenBook(Vec<Token>);

impl TokenBook {
    /// The most tokens that there may be.
    pub const MOST: usize = 1000;

    /// All of them, in the order in which they were made.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.0
    }

    /// Keeps one more.
    ///
    /// # Errors
    /// [`BookError`]; the book is as before.
    pub fn add(&mut self, token: Token) -> Result<(), BookError> {
        if self.0.iter().any(|other| other.name == token.name) {
            return Err(BookError::NameTaken(token.name));
        }
        if self.0.len() >= Self::MOST {
            return Err(BookError::Full(Self::MOST));
        }
        self.0.push(token);
        Ok(())
    }

    /// Forgets one; whether it was there.
    pub fn revoke(&mut self, name: &TokenName) -> bool {
        let before = self.0.len();
        self.0.retain(|token| token.name != *name);
        self.0.len() < before
    }

    /// The token of `shown`, if it is good for `scope` now. Takes as long whichever it is, and whether it is known or not.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn judge(
        &self,
        shown: &TokenSecret,
        scope: Scope,
        now: Timestamp,
    ) -> Result<&Token, TokenError> {
        let digest = shown.digest();
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.digest.0.ct_eq(&digest.0)) {
                found = Some(token);
            }
        }
        let token = found.ok_or(TokenError::Unknown)?;
        if token.has_expired(now) {
            return Err(TokenError::Expired(token.name.clone()));
        }
        if !token.scopes.contains(&scope) {
            return Err(TokenError::WrongScope(token.name.clone(), scope));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    const NOW: Timestamp = Timestamp(1000);

    fn secret(seed: u8) -> TokenSecret {
        TokenSecret::draw(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    fn token(name: &str, seed: u8, scopes: &[Scope], expires_at: Option<Timestamp>) -> Token {
        Token {
            name: name.parse().unwrap(),
            scopes: scopes.iter().copied().collect(),
            digest: secret(seed).digest(),
            created_at: Timestamp(1),
            expires_at,
        }
    }

    #[test]
    fn a_token_opens_what_its_scopes_say_until_it_expires() {
        let mut book = TokenBook::default();
        book.add(token("a", 1, &[Scope::Read, Scope::Submit], None))
            .unwrap();
        book.add(token("b", 2, &[Scope::Read], Some(NOW))).unwrap();
        let judge = |seed, scope, now| book.judge(&secret(seed), scope, now);
        assert_eq!(judge(1, Scope::Submit, NOW).unwrap().name.as_str(), "a");
        assert_eq!(
            judge(1, Scope::Admin, NOW),
            Err(TokenError::WrongScope("a".parse().unwrap(), Scope::Admin))
        );
        assert!(judge(2, Scope::Read, Timestamp(999)).is_ok());
        let expired = Err(TokenError::Expired("b".parse().unwrap()));
        assert_eq!(judge(2, Scope::Read, NOW), expired);
        assert_eq!(judge(3, Scope::Read, NOW), Err(TokenError::Unknown));
    }

    #[test]
    fn names_are_unique_and_a_revoked_token_is_unknown() {
        let mut book = TokenBook::default();
        book.add(token("a", 1, &[Scope::Read], None)).unwrap();
        assert_eq!(
            book.add(token("a", 2, &[Scope::Read], None)),
            Err(BookError::NameTaken("a".parse().unwrap()))
        );
        let name = "a".parse().unwrap();
        assert!(book.revoke(&name) && !book.revoke(&name));
        assert_eq!(
            book.judge(&secret(1), Scope::Read, NOW),
            Err(TokenError::Unknown)
        );
    }

    #[test]
    fn a_book_has_a_last_page() {
        let mut book = TokenBook::default();
        for n in 0..TokenBook::MOST {
            book.add(token(&format!("t{n}"), 1, &[], None)).unwrap();
        }
        let one_more = book.add(token("more", 1, &[], None));
        assert_eq!(one_more, Err(BookError::Full(TokenBook::MOST)));
    }

    #[test]
    fn a_token_has_one_spelling_and_shows_itself_to_nobody() {
        let text = secret(1).text();
        assert_eq!(text.len(), 70);
        let read: TokenSecret = text.parse().unwrap();
        assert_eq!(read.digest(), secret(1).digest());
        for wrong in [
            text.to_uppercase(),
            format!("{}A", &text[..69]),
            format!("{}0", text.as_str()),
            text[..69].to_owned(),
            text[6..].to_owned(),
            format!(" {}", text.as_str()),
            String::new(),
        ] {
            assert_eq!(wrong.parse::<TokenSecret>().err(), Some(NoToken));
        }
        let shown = format!("{:?}{}", secret(1), NoToken);
        assert!(!shown.contains(&text[6..16]), "{shown}");
    }

    #[test]
    fn names_are_plain_words() {
        for bad in ["", "-x", ".x", "a b", "a/b", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<TokenName>().is_err(), "{bad:?}");
        }
        assert!("Deltaboard-2.test_1".parse::<TokenName>().is_ok());
    }

    #[test]
    fn scopes_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
            let json = serde_json::to_string(&scope).unwrap();
            assert_eq!(json, format!("\"{scope}\""));
        }
        assert!("Admin".parse::<Scope>().is_err());
    }
}
