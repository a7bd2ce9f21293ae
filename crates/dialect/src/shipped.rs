//! The dialects that come with the program.

/// Name and source of each, sorted by name.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("apirone", include_str!("../dialects/apirone/dialect.toml")),
    (
        "b2binpay",
        include_str!("../dialects/b2binpay/dialect.toml"),
    ),
    ("mypopup", include_str!("../dialects/mypopup/dialect.toml")),
    (
        "mypopup-flat",
        include_str!("../dialects/mypopup-flat/dialect.toml"),
    ),
];
