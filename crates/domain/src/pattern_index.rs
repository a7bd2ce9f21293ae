//! The patterns of many apis, for each host as a tree by segment: to find a pattern that
//! overlaps with another one, walk along that one instead of comparing it with each.

use std::collections::BTreeMap;

use crate::pattern::{PathPattern, PatternEnd, PatternSegment};

/// A pattern's api and text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedPath {
    /// The number of its api.
    pub api: usize,
    /// Its text, with the prefix.
    pub text: String,
}

/// Patterns by host. An api without hosts answers for every host.
#[derive(Default)]
pub struct PatternIndex {
    /// Patterns of apis that name this host.
    named: BTreeMap<String, PatternNode>,
    /// Patterns of apis that name no host.
    unnamed: PatternNode,
    /// Patterns of all apis.
    all: PatternNode,
    /// How many nodes were visited.
    looked_at: usize,
}

#[derive(Default)]
struct PatternNode {
    texts: BTreeMap<String, PatternNode>,
    any: Option<Box<PatternNode>>,
    /// The patterns that end here, only the first for each kind of end.
    ends: Vec<(PatternEnd, IndexedPath)>,
    /// One pattern that ends here or below.
    below: Option<IndexedPath>,
}

impl PatternIndex {
    /// Adds a pattern.
    pub fn insert(&mut self, hosts: &[String], pattern: &PathPattern, path: &IndexedPath) {
        self.all.insert(pattern, path);
        if hosts.is_empty() {
            self.unnamed.insert(pattern, path);
        }
        for host in hosts {
            let named = self.named.entry(host.clone()).or_default();
            named.insert(pattern, path);
        }
    }

    /// A pattern on one of these hosts that overlaps with `pattern`.
    pub fn overlapping(&mut self, hosts: &[String], pattern: &PathPattern) -> Option<&IndexedPath> {
        let named = hosts.iter().filter_map(|host| self.named.get(host));
        let nodes: Vec<&PatternNode> = match hosts {
            [] => vec![&self.all],
            _ => named.chain([&self.unnamed]).collect(),
        };
        let looked_at = &mut self.looked_at;
        let mut walks = nodes.into_iter().map(|node| PatternWalk { node, pattern });
        walks.find_map(|walk| walk.find(0, looked_at))
    }

    /// How many nodes were visited so far: the cost of the search.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }
}

impl PatternNode {
    fn insert(&mut self, pattern: &PathPattern, path: &IndexedPath) {
        let mut node = self;
        node.below.get_or_insert_with(|| path.clone());
        for segment in pattern.segments() {
            node = match segment {
                PatternSegment::Text(text) => node.texts.entry(text.clone()).or_default(),
                PatternSegment::Any | PatternSegment::Login => node.any.get_or_insert_default(),
            };
            node.below.get_or_insert_with(|| path.clone());
        }
        let end = pattern.end();
        if !node.ends.iter().any(|(known, _)| *known == end) {
            node.ends.push((end, path.clone()));
        }
    }
}

/// A position on the walk along a pattern.
#[derive(Clone, Copy)]
struct PatternWalk<'n, 'p> {
    node: &'n PatternNode,
    pattern: &'p PathPattern,
}

impl<'n> PatternWalk<'n, '_> {
    /// Continues from the segment `at` of the pattern.
    fn find(self, at: usize, looked_at: &mut usize) -> Option<&'n IndexedPath> {
        *looked_at += 1;
        let Self { node, pattern } = self;
        let Some(segment) = pattern.segments().get(at) else {
            let end = pattern.end();
            if end == PatternEnd::Rest {
                return node.below.as_ref();
            }
            let mut ends = node.ends.iter();
            let met = ends.find(|(known, _)| known.meets(end));
            return met.map(|(_, path)| path);
        };
        let mut rest = node.ends.iter().filter(|(end, _)| *end == PatternEnd::Rest);
        if let Some((_, path)) = rest.next() {
            return Some(path);
        }
        let mut on = |node| PatternWalk { node, pattern }.find(at + 1, looked_at);
        let found = node.any.as_deref().and_then(&mut on);
        found.or_else(|| match segment {
            PatternSegment::Text(text) => node.texts.get(text).and_then(on),
            PatternSegment::Any | PatternSegment::Login => node.texts.values().find_map(on),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::compile(text, false).unwrap()
    }

    fn index_of(hosts: &[String], patterns: impl Iterator<Item = String>) -> PatternIndex {
        let mut index = PatternIndex::default();
        for (api, text) in patterns.enumerate() {
            index.insert(
                hosts,
                &pattern(&text),
                &IndexedPath {
                    api,
                    text: text.clone(),
                },
            );
        }
        index
    }

    #[test]
    fn a_thousand_patterns_that_overlap_cost_no_more_to_ask_than_ten() {
        for text in ["/api/v1/*", "/{x}/v1/orders", "/api/v1/orders"] {
            let cost = |patterns: usize| {
                let mut index = index_of(&[], (0..patterns).map(|_| "/api/v1/*".to_owned()));
                assert!(index.overlapping(&[], &pattern(text)).is_some());
                index.looked_at()
            };
            assert_eq!(cost(10), cost(1_000), "{text}");
            assert!(cost(10) > 2, "each node on the way is counted");
        }
    }

    #[test]
    fn a_thousand_patterns_apart_cost_no_more_to_ask_than_ten() {
        let cost = |patterns: usize| {
            let mut index = index_of(&[], (0..patterns).map(|number| format!("/api/{number}/*")));
            assert!(index.overlapping(&[], &pattern("/api/new/*")).is_none());
            index.looked_at()
        };
        assert_eq!(cost(10), cost(1_000));
    }

    #[test]
    fn hosts_keep_patterns_apart() {
        let host = |name: &str| vec![name.to_owned()];
        let path = |api| IndexedPath {
            api,
            text: "/a".to_owned(),
        };
        let mut index = PatternIndex::default();
        index.insert(&host("a.example"), &pattern("/a"), &path(0));
        let mut asked = |hosts: &[String]| {
            let found = index.overlapping(hosts, &pattern("/a"));
            found.map(|path| path.api)
        };
        assert_eq!(asked(&host("b.example")), None);
        assert_eq!(asked(&["b.example".into(), "a.example".into()]), Some(0));
        assert_eq!(asked(&[]), Some(0), "no host is every host");
        index.insert(&[], &pattern("/b"), &path(1));
        let found = index.overlapping(&host("c.example"), &pattern("/b"));
        assert_eq!(found.map(|path| path.api), Some(1));
    }

    proptest! {
        #[test]
        fn it_finds_one_exactly_if_comparing_with_each_does(
            known in prop::collection::vec(some_pattern(), 0..8),
            asked in some_pattern(),
            slash_optional in any::<bool>(),
        ) {
            let compile = |text: &str| PathPattern::compile(text, slash_optional).unwrap();
            let asked = compile(&asked);
            let mut index = PatternIndex::default();
            for (api, text) in known.iter().enumerate() {
                index.insert(&[], &compile(text), &IndexedPath { api, text: text.clone() });
            }
            let found = index.overlapping(&[], &asked).cloned();
            let each = known.iter().any(|text| compile(text).overlaps(&asked));
            prop_assert_eq!(found.is_some(), each);
            if let Some(found) = found {
                prop_assert!(compile(&found.text).overlaps(&asked));
            }
        }
    }

    fn some_pattern() -> impl Strategy<Value = String> {
        let segments =
            prop::collection::vec(prop::sample::select(vec!["a", "b", "{x}", "{login}"]), 0..4);
        let end = prop::sample::select(vec!["", "/", "/*"]);
        (segments, end).prop_map(|(segments, end)| {
            let head: String = segments.iter().map(|it| format!("/{it}")).collect();
            let text = format!("{head}{end}");
            if text.is_empty() {
                "/".to_owned()
            } else {
                text
            }
        })
    }
}
