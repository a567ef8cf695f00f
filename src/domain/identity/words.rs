//! Words that people read: names of organisations and nodes, written by strangers and shown in logs.

/// The longest such word, in bytes of UTF-8.
pub const MAX_WORD_BYTES: usize = 128;

/// What is wrong with a word, if anything is.
pub(super) fn fault_of(word: &str) -> Option<&'static str> {
    if word.is_empty() {
        Some("is empty")
    } else if word.len() > MAX_WORD_BYTES {
        Some("is longer than 128 bytes")
    } else if word.trim() != word {
        Some("begins or ends with a space")
    } else if word.chars().any(deceives) {
        Some("contains a control character or an invisible one")
    } else {
        None
    }
}

/// `word` made fit for a card: what may not be in it is left out, what is too long is cut. `None` when nothing is left.
#[must_use]
pub fn presentable(word: &str) -> Option<String> {
    let clean: String = word.chars().filter(|c| !deceives(*c)).collect();
    let mut clean = clean.trim().to_owned();
    clean.truncate(clean.floor_char_boundary(MAX_WORD_BYTES));
    let clean = clean.trim_end().to_owned();
    (!clean.is_empty()).then_some(clean)
}

/// Characters that make a line of a log look like another one.
pub(crate) fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_readers_is_no_word() {
        for bad in [
            "",
            " a",
            "a ",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}b",
            "\u{feff}",
            "a\0",
        ] {
            assert!(fault_of(bad).is_some(), "{bad:?}");
        }
        assert!(fault_of(&"x".repeat(MAX_WORD_BYTES + 1)).is_some());
        for good in ["University Hospital A", "Universitätsklinik", "大学病院"] {
            assert_eq!(fault_of(good), None, "{good}");
        }
    }

    #[test]
    fn a_presentable_word_is_one() {
        for word in [" a\nb ", "\u{202e}x", &"é".repeat(200), "plain"] {
            assert_eq!(fault_of(&presentable(word).unwrap()), None, "{word:?}");
        }
        assert_eq!(presentable("\u{200b}\n "), None);
    }
}
