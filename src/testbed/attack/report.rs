//! What an operator gets: one line an attack, a JSON file, a page.

use std::time::Duration;

use anyhow::bail;
use serde::Serialize;

/// One attack and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) by: &'static str,
    pub(super) tried: &'static str,
    pub(super) answered: String,
    pub(super) afterwards: String,
    pub(super) repelled: bool,
    pub(super) seconds: f64,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    version: &'static str,
    network: String,
    seconds: f64,
    attacks: usize,
    not_repelled: usize,
    findings: Vec<Finding>,
}

impl Finding {
    fn verdict(&self) -> &'static str {
        if self.repelled {
            "repelled"
        } else {
            "NOT repelled"
        }
    }

    /// The line for the terminal.
    pub(super) fn line(&self) -> String {
        let mut line = format!(
            "{:<12}  {}: {}. Answer: {} ({:.1} s)",
            self.verdict(),
            self.name,
            self.tried,
            one_line(&self.answered),
            self.seconds
        );
        if !self.repelled {
            line.push_str(" Afterwards: ");
            line.push_str(&one_line(&self.afterwards));
        }
        line
    }
}

impl Report {
    pub(super) fn new(network: String, took: Duration, findings: Vec<Finding>) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            network,
            seconds: took.as_secs_f64(),
            attacks: findings.len(),
            not_repelled: findings.iter().filter(|f| !f.repelled).count(),
            findings,
        }
    }

    pub(super) fn summary(&self) -> String {
        let repelled = self.attacks - self.not_repelled;
        format!(
            "{repelled} of {} attacks repelled in {:.0} s",
            self.attacks, self.seconds
        )
    }

    /// An error names what got through.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        if self.not_repelled == 0 {
            return Ok(());
        }
        let names: Vec<&str> = self
            .findings
            .iter()
            .filter(|f| !f.repelled)
            .map(|f| f.name)
            .collect();
        bail!("not repelled: {}", names.join(", "))
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// A page that needs nothing but itself.
    pub(super) fn html(&self) -> String {
        let mut rows = String::new();
        for f in &self.findings {
            let class = if f.repelled { "ok" } else { "bad" };
            rows.push_str(&format!(
                "<tr><td class=\"{class}\">{}</td><td><b>{}</b><br><small>by a {}</small></td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{:.1}</td></tr>\n",
                f.verdict(),
                escape(f.name),
                escape(f.by),
                escape(f.tried),
                escape(&f.answered),
                escape(&f.afterwards),
                f.seconds
            ));
        }
        let class = if self.not_repelled == 0 { "ok" } else { "bad" };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>delta-node attack</title>\n<style>{STYLE}</style></head>\n<body><h1>Attacks on {}</h1>\n\
             <p class=\"{class}\">{}</p>\n\
             <p>Program version {}. An attack is repelled when the nodes refused it and were unharmed afterwards: all of them answered, \
             nobody's two secrets were on the record, and an honest task over all of them ended with the right numbers.</p>\n\
             <table><thead><tr><th>Verdict</th><th>Attack</th><th>What was tried</th><th>What the nodes answered</th><th>Afterwards</th>\
             <th class=\"n\">s</th></tr></thead>\n<tbody>\n{rows}</tbody></table></body></html>\n",
            escape(&self.network),
            escape(&self.summary()),
            escape(self.version),
        )
    }
}

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.5rem}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.45rem .6rem;border-bottom:1px solid #d8dee4;overflow-wrap:anywhere}\
th{border-bottom:2px solid #8c959f}th,td b{white-space:nowrap}small{color:#57606a}.n{text-align:right;white-space:nowrap}\
td.ok,td.bad{white-space:nowrap;font-weight:600}.ok{color:#1a7f37}.bad{color:#cf222e}p.ok,p.bad{font-size:1.15rem;font-weight:600}";

/// The beginning of an answer; the reports have all of it.
fn one_line(text: &str) -> String {
    const SHOWN: usize = 110;
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let clean: String = text.chars().map(printable).take(SHOWN).collect();
    let more = if text.chars().nth(SHOWN).is_some() {
        "..."
    } else {
        ""
    };
    format!("{}{more}", clean.trim().trim_end_matches('.'))
}

/// What nodes answer is hostile to a page too.
fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .fold(String::new(), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c => out.push(c),
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(repelled: bool, answered: &str) -> Finding {
        Finding {
            name: "a",
            by: "member",
            tried: "b",
            answered: answered.into(),
            afterwards: String::new(),
            repelled,
            seconds: 0.0,
        }
    }

    #[test]
    fn one_attack_that_got_through_spoils_the_verdict_and_is_named() {
        let good = Report::new("x".into(), Duration::ZERO, vec![finding(true, "no")]);
        assert!(good.verdict().is_ok());
        let bad = Report::new(
            "x".into(),
            Duration::ZERO,
            vec![finding(true, "no"), finding(false, "yes")],
        );
        assert!(
            bad.verdict()
                .unwrap_err()
                .to_string()
                .contains("not repelled: a")
        );
        assert!(bad.findings[1].line().starts_with("NOT repelled"));
    }

    #[test]
    fn answers_cannot_write_into_the_page() {
        let page = Report::new(
            "x".into(),
            Duration::ZERO,
            vec![finding(true, "<script>alert(1)</script>")],
        )
        .html();
        assert!(!page.contains("<script") && page.contains("&lt;script"));
    }
}
