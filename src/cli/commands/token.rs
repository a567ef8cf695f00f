//! `token ...`: the tokens with which authors and the owner call the API. Works on the node's files, so the node may run or not.

use std::io::Write as _;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::task::{plain, say};
use crate::bootstrap;
use crate::cli::args::TokenCommand;
use crate::config::Config;
use delta_domain::access::{Scope, Token, TokenSecret};
use delta_domain::time::Timestamp;

/// How long a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Lifetime {
    /// From now on for this long.
    For(Duration),
    /// Until it is revoked.
    Never,
}

impl FromStr for Lifetime {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let wrong = || format!("{text:?} is no time: write for example 30m, 12h, 90d, or never");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds = match unit {
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let number: u32 = text
            .strip_suffix(unit)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|number| *number > 0)
            .ok_or_else(wrong)?;
        Ok(Self::For(Duration::from_secs(u64::from(number) * seconds)))
    }
}

/// `token create`, `list` and `revoke`
///
/// # Errors
/// The files of the node cannot be used, or the name is taken or unknown.
pub(in crate::cli) async fn run(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let tokens = bootstrap::tokens(config);
    let now = bootstrap::clock().now();
    match command {
        TokenCommand::Create {
            name,
            scopes,
            expires,
        } => {
            let secret = TokenSecret::draw(&mut bootstrap::entropy().rng()?);
            let expires_at = match expires {
                Lifetime::For(time) => Some(now + time),
                Lifetime::Never => None,
            };
            let token = Token {
                name,
                scopes: scopes.into_iter().collect(),
                digest: secret.digest(),
                created_at: now,
                expires_at,
            };
            let told = format!(
                "{}; it is shown this once. Use it as `authorization: Bearer TOKEN`, in $DELTA_NODE_TOKEN, or from a file with --token-file.",
                shown(&token, now)
            );
            tokens.add(token).await.map_err(plain)?;
            // Apart from the words, so that a script can catch it.
            say(&secret.text())?;
            writeln!(std::io::stderr(), "{told}").context("the output is closed")
        }
        TokenCommand::List => {
            let book = tokens.tokens().await.map_err(plain)?;
            for token in book.tokens() {
                say(&shown(token, now))?;
            }
            Ok(())
        }
        TokenCommand::Revoke { name } => {
            if !tokens.revoke(&name).await.map_err(plain)? {
                bail!("there is no token {name}; `delta-node token list` shows all")
            }
            say(&format!("token {name} is revoked"))
        }
    }
}

/// `token ci: submit, read; good until 2027-02-26 13:00 UTC`
fn shown(token: &Token, now: Timestamp) -> String {
    let scopes: Vec<&str> = token.scopes.iter().copied().map(Scope::name).collect();
    let until = match token.expires_at {
        None => "good until it is revoked".to_owned(),
        Some(end) if token.has_expired(now) => format!("expired on {}", utc(end)),
        Some(end) => format!("good until {}", utc(end)),
    };
    format!("token {}: {}; {until}", token.name, scopes.join(", "))
}

/// `2027-02-26 13:00 UTC`
fn utc(time: Timestamp) -> String {
    let minutes = time.0 / 60_000;
    let (days, minute) = (minutes / 1440, minutes % 1440);
    // Howard Hinnant's civil_from_days, for days since 1970: years begin in March, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        let hours = |n: u64| Ok(Lifetime::For(Duration::from_secs(n * 3600)));
        assert_eq!("12h".parse(), hours(12));
        assert_eq!("90d".parse(), hours(90 * 24));
        assert_eq!("60m".parse(), hours(1));
        assert_eq!("never".parse(), Ok(Lifetime::Never));
        for bad in [
            "",
            "d",
            "0d",
            "-1d",
            "+1d",
            "1",
            "1w",
            "1.5h",
            "99999999999d",
            "1\u{e9}",
        ] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, date) in [
            (0, "1970-01-01 00:00 UTC"),
            (1_709_164_800_000, "2024-02-29 00:00 UTC"),
            (1_795_329_517_000, "2026-11-22 06:38 UTC"),
            (4_102_444_740_000, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(utc(Timestamp(ms)), date);
        }
    }
}
