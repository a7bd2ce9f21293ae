//! A `profiles.toml` is read, and what is wrong with it is told where it is: no profile is
//! lost, and a mistake in one leaves the others as they were.
#![no_main]

use std::collections::BTreeSet;
use std::path::Path;

use countersign_client::Profiles;
use countersign_client::profile::UserPaths;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|source: &str| {
    // Folders that are not there: no dialect file that a profile names is read.
    let (base, paths) = (Path::new("/nonexistent"), UserPaths::default());
    let Ok(read) = Profiles::parse(source, "profiles.toml", base, &paths) else {
        return;
    };
    let lines = source.split('\n').count();
    let of_profiles = read.faults().flat_map(|(name, mistakes)| {
        assert!(!mistakes.0.is_empty(), "{name} fails without a word");
        &mistakes.0
    });
    for mistake in of_profiles.chain(read.stray()) {
        assert!(mistake.line <= lines, "{mistake:?}");
    }
    let good: BTreeSet<_> = read.iter().map(|it| it.name.as_str()).collect();
    let bad: BTreeSet<_> = read.faults().map(|(name, _)| name).collect();
    assert!(good.is_disjoint(&bad));
    assert!(read.names().eq(good.union(&bad).copied()));
    for name in good {
        assert!(read.profile(name).is_ok());
    }
});
