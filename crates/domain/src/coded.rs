//! Vocabularies that are written to stores, logs and messages.

/// Declares an enum of unit variants, each with a stable code, so that every code is
/// written in one place and none is forgotten. Its methods are `code` and `from_code`; a
/// vocabulary whose codes are called names says so: `Role(name, from_name)`.
#[doc(hidden)]
#[macro_export]
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($values:tt)+ }) => {
        $crate::coded! { $(#[$meta])* $name(code, from_code) { $($values)+ } }
    };
    ($(#[$meta:meta])* $name:ident($code:ident, $from_code:ident) {
        $($(#[$doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant,)+];

            #[doc = concat!("The stable ", stringify!($code), ".")]
            pub const fn $code(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            #[doc = concat!("The value with this ", stringify!($code), ", in exactly this spelling.")]
            pub fn $from_code(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.$code())
            }
        }
    };
}
