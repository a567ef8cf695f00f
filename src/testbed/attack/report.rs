//! What an operator gets: one line an attack, a JSON file, a page.

use std::time::Duration;

use anyhow::bail;
use serde::Serialize;

use super::case::Open;

/// One attack and what came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) name: &'static str,
    pub(super) by: &'static str,
    pub(super) tried: &'static str,
    pub(super) answered: String,
    pub(super) afterwards: String,
    pub(super) repelled: bool,
    /// Of an attack that got through and is known to: who can do it, and what is against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<Open>,
    pub(super) seconds: f64,
    /// How often it was played until it could be judged.
    pub(super) tries: u32,
}

/// All of them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    version: &'static str,
    network: String,
    seconds: f64,
    attacks: usize,
    not_repelled: usize,
    open: usize,
    findings: Vec<Finding>,
}

impl Finding {
    fn verdict(&self) -> &'static str {
        match (self.repelled, self.open) {
            (true, _) => "repelled",
            (false, Some(_)) => "open",
            (false, None) => "NOT repelled",
        }
    }

    /// Whether it got through without being known to.
    fn is_through(&self) -> bool {
        !self.repelled && self.open.is_none()
    }

    /// Who can do it, and what is against it; nothing of an attack that is not open.
    fn known(&self) -> Option<String> {
        let open = self.open.filter(|_| !self.repelled)?;
        Some(format!(
            "Who can: {}. Against it: {}",
            open.who, open.against
        ))
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
        if let Some(known) = self.known() {
            line.push(' ');
            line.push_str(&known);
        } else if !self.repelled {
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
            not_repelled: findings.iter().filter(|f| f.is_through()).count(),
            open: findings.iter().filter(|f| f.verdict() == "open").count(),
            findings,
        }
    }

    pub(super) fn summary(&self) -> String {
        let repelled = self.attacks - self.not_repelled - self.open;
        let mut text = format!(
            "{repelled} of {} attacks repelled in {:.0} s",
            self.attacks, self.seconds
        );
        if self.open > 0 {
            text.push_str(&format!("; {} are open: known to work", self.open));
        }
        text
    }

    /// An error names what got through; what is open does not count.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        if self.not_repelled == 0 {
            return Ok(());
        }
        let names: Vec<&str> = self
            .findings
            .iter()
            .filter(|f| f.is_through())
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
            let class = match f.verdict() {
                "repelled" => "ok",
                "open" => "open",
                _ => "bad",
            };
            let known = f
                .known()
                .map(|known| format!("<br><small>{}</small>", escape(&known)));
            rows.push_str(&format!(
                "<tr><td class=\"{class}\">{}</td><td><b>{}</b><br><small>by a {}</small></td><td>{}{}</td><td>{}</td><td>{}</td><td class=\"n\">{:.1}</td></tr>\n",
                f.verdict(),
                escape(f.name),
                escape(f.by),
                escape(f.tried),
                known.unwrap_or_default(),
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
             nobody's two secrets were on the record, and an honest task over all of them ended with the right numbers. \
             It is open when it is known to work: the nodes have nothing against it yet.</p>\n\
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
td.ok,td.bad,td.open{white-space:nowrap;font-weight:600}.ok{color:#1a7f37}.bad{color:#cf222e}.open{color:#9a6700}p.ok,p.bad{font-size:1.15rem;font-weight:600}";

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
            open: None,
            seconds: 0.0,
            tries: 1,
        }
    }

    const KNOWN: Open = Open {
        who: "an author",
        against: "nothing",
    };

    #[test]
    fn an_open_attack_is_told_and_does_not_spoil_the_verdict() {
        let open = Finding {
            open: Some(KNOWN),
            ..finding(false, "yes")
        };
        let report = Report::new("x".into(), Duration::ZERO, vec![finding(true, "no"), open]);
        assert!(report.verdict().is_ok());
        assert_eq!((report.not_repelled, report.open), (0, 1));
        assert!(report.summary().starts_with("1 of 2 attacks repelled"));
        assert!(report.summary().contains("1 are open"));
        let line = report.findings[1].line();
        assert!(
            line.starts_with("open ") && line.contains("Who can: an author. Against it: nothing")
        );
        let page = report.html();
        assert!(page.contains("class=\"open\"") && page.contains("Who can: an author"));
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(json["open"], 1);
        assert_eq!(json["findings"][1]["open"]["against"], "nothing");
        assert!(json["findings"][0].get("open").is_none());
    }

    #[test]
    fn an_open_attack_that_is_repelled_is_no_longer_open() {
        let repelled = Finding {
            open: Some(KNOWN),
            ..finding(true, "no")
        };
        assert!(repelled.line().starts_with("repelled "));
        let report = Report::new("x".into(), Duration::ZERO, vec![repelled]);
        assert_eq!(report.summary(), "1 of 1 attacks repelled in 0 s");
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
