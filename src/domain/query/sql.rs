//! A question, as far as it can be judged before it is asked.

use super::server::{Engine, NetworkServer, Server};

/// Longest question, in bytes.
const LONGEST: usize = 64 << 10;

/// What is wrong with it, for the database that is asked.
pub(super) fn faults(sql: &str, server: Option<&Server>) -> Vec<&'static str> {
    if sql.len() > LONGEST {
        return vec!["is longer than 65536 bytes: make it a view of the database"];
    }
    let Some(outer) = Syntax::of(server).outer(sql) else {
        return vec![
            "must have no /*! ... */: some servers run what is in it, others pass it over",
        ];
    };
    // Whether there is a second one, the database says.
    let one = outer
        .split(|piece| *piece == ";")
        .next()
        .unwrap_or_default();
    if !one
        .first()
        .is_some_and(|first| is(first, "select") || is(first, "with"))
    {
        return vec!["must be one SELECT, or WITH and a SELECT"];
    }
    if !one.windows(3).any(is_order) {
        return vec![
            "must end with an ORDER BY that puts every row in its place: rules that compare what was released before go by the places of rows",
        ];
    }
    Vec::new()
}

/// Whether the last two of three pieces are ORDER BY, and not a column or a variable of such a name.
fn is_order(pieces: &[&str]) -> bool {
    matches!(pieces, [before, order, by]
        if is(order, "order") && is(by, "by") && !matches!(*before, "." | ":" | "@"))
}

/// Whether a piece is a keyword.
fn is(piece: &str, keyword: &str) -> bool {
    piece.eq_ignore_ascii_case(keyword)
}

/// How a database reads texts, names and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// As the standard says, for a database that is not known.
    Standard,
    Postgres,
    MySql,
    Sqlite,
}

/// What a piece of a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A blank or a comment.
    Gap,
    /// A comment that some servers run.
    Conditional,
    /// A keyword, a name or a number.
    Word,
    /// A text or a name between quotes.
    Quoted,
    /// A text in which a backslash takes the next character, as `E'...'` of PostgreSQL.
    Escaped,
    /// Any other character.
    Mark,
}

impl Syntax {
    fn of(server: Option<&Server>) -> Self {
        match server {
            None => Self::Standard,
            Some(Server::File(_)) => Self::Sqlite,
            Some(Server::Network(NetworkServer { engine, .. })) => match engine {
                Engine::Postgres => Self::Postgres,
                Engine::MySql => Self::MySql,
            },
        }
    }

    /// The pieces outside of brackets, without gaps; `None` where what they are depends on the server's version.
    fn outer(self, sql: &str) -> Option<Vec<&str>> {
        let mut outer = Vec::new();
        let (mut depth, mut before, mut rest) = (0_usize, Piece::Gap, sql);
        while let Some(c) = rest.chars().next() {
            let (piece, length) = self.piece(c, rest, before);
            let (text, more) = rest.split_at_checked(length).unwrap_or((rest, ""));
            rest = more;
            match piece {
                Piece::Gap => continue,
                Piece::Conditional => return None,
                Piece::Word | Piece::Quoted | Piece::Escaped | Piece::Mark => before = piece,
            }
            if text == ")" {
                depth = depth.saturating_sub(1);
            }
            if depth == 0 {
                outer.push(text);
            }
            if text == "(" {
                depth += 1;
            }
        }
        Some(outer)
    }

    /// What `rest` begins with, by its first character and what stands before it, and how many bytes that has.
    fn piece(self, c: char, rest: &str, before: Piece) -> (Piece, usize) {
        let from = |at| rest.get(at..).unwrap_or_default();
        match (self, c) {
            _ if c.is_ascii_whitespace() => (Piece::Gap, 1),
            _ if self.is_line(rest) => {
                let end = |c| c == '\n' || c == '\r' && self == Self::Postgres;
                (Piece::Gap, rest.find(end).unwrap_or(rest.len()))
            }
            // MariaDB has one more of its own.
            (Self::MySql, '/') if rest.starts_with("/*!") || rest.starts_with("/*M!") => {
                (Piece::Conditional, rest.len())
            }
            (_, '/') if rest.starts_with("/*") => (Piece::Gap, self.comment(rest)),
            (Self::Postgres, 'e' | 'E') if from(1).starts_with('\'') => {
                (Piece::Escaped, 1 + quoted(from(1), '\'', true))
            }
            // Such a text goes on in the next quotes.
            (Self::Postgres, '\'') if before == Piece::Escaped => {
                (Piece::Escaped, quoted(rest, '\'', true))
            }
            (Self::MySql, '\'' | '"') => (Piece::Escaped, quoted(rest, c, true)),
            (_, '\'' | '"') | (Self::MySql | Self::Sqlite, '`') => {
                (Piece::Quoted, quoted(rest, c, false))
            }
            (Self::Sqlite, '[') => (Piece::Quoted, quoted(rest, ']', false)),
            (Self::Postgres, '$') => match tag(rest) {
                Some(tag) => {
                    let end = from(tag.len()).find(tag);
                    let length = end.map_or(rest.len(), |end| end + 2 * tag.len());
                    (Piece::Quoted, length)
                }
                None => (Piece::Word, word(rest)),
            },
            _ if in_word(c) => (Piece::Word, word(rest)),
            _ => (Piece::Mark, c.len_utf8()),
        }
    }

    /// Whether a comment begins that has the rest of the line.
    fn is_line(self, rest: &str) -> bool {
        let dashes = rest.strip_prefix("--");
        match self {
            // Two dashes may be signs of a number.
            Self::MySql => {
                let blank = |c: char| c == ' ' || c.is_ascii_control();
                rest.starts_with('#')
                    || dashes.is_some_and(|text| text.is_empty() || text.starts_with(blank))
            }
            Self::Standard | Self::Postgres | Self::Sqlite => dashes.is_some(),
        }
    }

    /// How long the comment between `/*` and `*/` is that `rest` begins with.
    fn comment(self, rest: &str) -> usize {
        let (mut depth, mut at) = (1_usize, 2);
        while depth > 0 {
            let inner = rest.get(at..).unwrap_or_default();
            let Some(end) = inner.find("*/") else {
                return rest.len();
            };
            let nested = inner.find("/*");
            at += 2 + match nested.filter(|begin| self == Self::Postgres && *begin < end) {
                Some(begin) => {
                    depth += 1;
                    begin
                }
                None => {
                    depth -= 1;
                    end
                }
            };
        }
        at
    }
}

/// How long what `rest` begins with is up to its closing quote. A doubled one closes it, and opens the next.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut taken = false;
    for (at, c) in rest.char_indices().skip(1) {
        if taken {
            taken = false;
        } else if c == quote {
            return at + c.len_utf8();
        } else {
            taken = escapes && c == '\\';
        }
    }
    rest.len()
}

/// What opens and closes a text of PostgreSQL between dollars: `$$`, or with a name between them.
fn tag(rest: &str) -> Option<&str> {
    let end = rest.strip_prefix('$')?.find('$')?;
    let name = rest.get(1..=end)?;
    let plain = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || c == '_';
    let named = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    rest.get(..end + 2).filter(|_| named)
}

/// All three take any character that is not ASCII for a letter, even a blank.
fn in_word(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '_' | '$')
}

/// How long the word is that `rest` begins with. A point behind digits is one of a number, and before no column.
fn word(rest: &str) -> usize {
    let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
    let (word, more) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    end + usize::from(digits && more.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(engine: Engine) -> Server {
        Server::Network(NetworkServer {
            engine,
            host: "localhost".to_owned(),
            port: 1,
            user: "a".to_owned(),
            name: "b".to_owned(),
        })
    }

    fn servers() -> [Option<Server>; 4] {
        let sqlite = Server::File("/a.db".into());
        let (postgres, mysql) = (network(Engine::Postgres), network(Engine::MySql));
        [None, Some(sqlite), Some(postgres), Some(mysql)]
    }

    /// What has an order for a database, and what has none, although each has the words.
    fn judged(server: &Server, ordered: &[&str], unordered: &[&str]) {
        for sql in ordered {
            assert!(faults(sql, Some(server)).is_empty(), "{sql}");
        }
        for sql in unordered {
            let told = faults(sql, Some(server));
            assert!(
                told.len() == 1 && told[0].contains("ORDER BY"),
                "{sql}: {told:?}"
            );
        }
    }

    #[test]
    fn the_outermost_order_counts() {
        for server in servers() {
            let faults = |sql: &str| faults(sql, server.as_ref());
            for sql in [
                "SELECT a FROM t ORDER BY a",
                "-- visits; don't ask\nselect a from t order\n  by 1",
                "/* all */ WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER /* so */ BY a",
                "SELECT 'it''s' AS a, \"order\" FROM t ORDER BY a",
                "SELECT sum(a) OVER w AS s FROM t WINDOW w AS (ORDER BY a) ORDER BY a",
                "SELECT a FROM t WHERE a > 1. ORDER BY a;",
                "SELECT a FROM t ORDER BY a; -- that's all",
                "SELECT a FROM t ORDER BY a; SELECT 1",
            ] {
                assert!(faults(sql).is_empty(), "{server:?}: {sql}");
            }
            for sql in [
                "SELECT row_number() OVER (ORDER BY a) AS n FROM t",
                "SELECT sum(a) OVER w AS s FROM t WINDOW w AS (ORDER BY a)",
                "SELECT a FROM (SELECT a FROM t ORDER BY a) x",
                "SELECT a FROM t -- ORDER BY a",
                "SELECT a FROM t /* ORDER BY a",
                "SELECT 'x ORDER BY a' AS a FROM t",
                "SELECT \"order\" by FROM border",
                "SELECT t.order by FROM t",
                "SELECT t . order /* the column */ by FROM t",
                "SELECT a AS order, by FROM t",
                "SELECT :order by FROM t",
                "SELECT @order by FROM t",
                "SELECT a$order by FROM t",
                "SELECT a FROM t ORDER\u{a0}BY a",
                "SELECT a FROM t; SELECT a FROM t ORDER BY a",
                "DELETE FROM t ORDER BY a",
                "(SELECT a FROM t) ORDER BY a",
                "",
            ] {
                assert_eq!(faults(sql).len(), 1, "{server:?}: {sql}");
            }
            let long = format!("SELECT 1 ORDER BY 1 {}", " ".repeat(70_000));
            assert_eq!(faults(&long).len(), 1);
        }
    }

    #[test]
    fn postgresql_nests_comments_and_has_texts_of_its_own() {
        judged(
            &network(Engine::Postgres),
            &[
                "SELECT a /* /* */ ' */ FROM t ORDER BY a",
                "SELECT a /*/ ' */ FROM t ORDER BY a",
                "SELECT '\\' AS a FROM t ORDER BY a",
                "SELECT E'it\\'s' AS a FROM t ORDER BY a",
                "SELECT e'a''\\'(' AS a FROM t ORDER BY a",
                "SELECT E'\\'' -- goes on\n '\\'(' AS a FROM t ORDER BY a",
                "SELECT $$it's ($$ AS a FROM t ORDER BY a",
                "SELECT $_ä1$ $$ $1$ ($_ä1$ AS a FROM t ORDER BY a",
                "SELECT a$$ FROM t ORDER BY a$$",
                "SELECT a FROM t WHERE a = $1 AND b = $2 ORDER BY a",
                "SELECT a --\rFROM t ORDER BY a",
                "SELECT b[1:2], a::int, c @> E'\\'' FROM t ORDER BY a",
                "SELECT a # 1, '#' FROM t ORDER BY a",
            ],
            &[
                "SELECT a FROM t /* /* */ ORDER BY a */",
                "SELECT a FROM t /* /* */ ORDER BY a",
                "SELECT a FROM t WHERE a = E'\\' ORDER BY a'",
                "SELECT a FROM t WHERE a = E'\\\\\\' ORDER BY a'",
                "SELECT a FROM t WHERE a = E''\n'\\' ORDER BY a'",
                "SELECT a FROM t WHERE a = $$ ORDER BY a$$",
                "SELECT a FROM t WHERE a = $a$ $b$ ORDER BY a $a$",
                "SELECT a FROM t WHERE a = $a$ ORDER BY a $A$",
                "SELECT a FROM t WHERE a > 1 --1 ORDER BY a",
            ],
        );
    }

    #[test]
    fn mysql_has_escapes_and_comments_of_its_own() {
        let mysql = network(Engine::MySql);
        judged(
            &mysql,
            &[
                "SELECT 'it\\'s' AS a FROM t ORDER BY a",
                "SELECT \"\\\"(\" AS a FROM t ORDER BY a",
                "SELECT 'a''\\\\' AS a FROM t ORDER BY a",
                "SELECT `it's \\`, `a``(` FROM t ORDER BY a",
                "SELECT a # it's\n FROM t ORDER BY a",
                "SELECT 5--1 AS a FROM t ORDER BY a",
                "SELECT a --\tit's\nFROM t ORDER BY a --",
                "SELECT /*+ NO_MERGE(t) */ a /* /* ' */ FROM t ORDER BY a",
                "SELECT '/*! */' AS a FROM t ORDER BY a",
            ],
            &[
                "SELECT '\\' ORDER BY a' AS a FROM t",
                "SELECT \"\\\" ORDER BY a\" AS a FROM t",
                "SELECT `order` by FROM t",
                "SELECT a FROM t # ORDER BY a",
                "SELECT a FROM t -- ORDER BY a",
                "SELECT a FROM t --\u{1}ORDER BY a",
            ],
        );
        for sql in [
            "SELECT a FROM t /*! ORDER BY a */",
            "SELECT a FROM t /*!50000 ORDER BY a */",
            "SELECT a FROM (SELECT 1 AS a /*M! ) */) t ORDER BY a",
        ] {
            let told = faults(sql, Some(&mysql));
            assert!(told.len() == 1 && told[0].contains("/*!"), "{told:?}");
        }
    }

    #[test]
    fn sqlite_has_names_in_brackets() {
        judged(
            &Server::File("/a.db".into()),
            &[
                "SELECT [it's (] FROM t ORDER BY a",
                "SELECT `it's (` FROM t ORDER BY a",
                "SELECT \"a\"\"(\" FROM t ORDER BY a",
                "SELECT '\\' AS a FROM t ORDER BY a",
                "SELECT a /* /* */ FROM t ORDER BY a /* all",
                "SELECT a --1'\nFROM t ORDER BY a",
                "SELECT a /*! it's */ FROM t ORDER BY a",
            ],
            &[
                "SELECT [order] by FROM t",
                "SELECT [a ORDER BY a] FROM t",
                "SELECT [a FROM t ORDER BY a",
                "SELECT a AS `a ORDER BY a` FROM t",
                "SELECT a FROM t --1 ORDER BY a",
                "SELECT $order by FROM t",
            ],
        );
    }
}
