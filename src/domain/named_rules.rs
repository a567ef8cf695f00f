//! Rules that have stable names: one table makes the enum, the list of all, the names and serde's words, so that no rule is without one.

/// `named_rules! { /// What it is. pub enum NAME { /// What it says. Variant = "name.of.rule", ... } }`
macro_rules! named_rules {
    ($(#[$of:meta])* pub enum $kind:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $kind {
            $($(#[$doc])* #[serde(rename = $name)] $variant),+
        }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable name; the same as serde's.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The rule of this name.
            #[must_use]
            pub fn of_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.name() == name)
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named_rules;

#[cfg(test)]
pub(crate) mod tests {
    /// Names are unique, begin with `prefix`, and come back as they went.
    macro_rules! names_hold {
        ($kind:ident, $prefix:literal) => {
            let names: std::collections::BTreeSet<&str> =
                $kind::ALL.iter().map(|rule| rule.name()).collect();
            assert_eq!(names.len(), $kind::ALL.len());
            for rule in $kind::ALL {
                assert_eq!($kind::of_name(rule.name()), Some(*rule));
                assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
                assert!(rule.name().starts_with($prefix), "{rule}");
            }
            assert_eq!($kind::of_name($prefix), None);
        };
    }
    pub(crate) use names_hold;
}
