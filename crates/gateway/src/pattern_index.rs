//! The patterns of many apis as a tree by segment, for each host: which of them
//! overlaps with another is found by a walk along that other, not by comparing it
//! with each.

use std::collections::BTreeMap;

use crate::pattern::{End, Pattern, Segment};

/// Whose a pattern is, and how it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedPath {
    /// The number of its api.
    pub(crate) api: usize,
    /// Its text, with the prefix.
    pub(crate) text: String,
}

/// Patterns by host. An api without hosts has every host.
#[derive(Default)]
pub(crate) struct PatternIndex {
    /// Of apis that name this host.
    named: BTreeMap<String, Node>,
    /// Of apis that name none.
    unnamed: Node,
    /// Of all apis.
    all: Node,
    /// How many nodes were looked at.
    looked_at: usize,
}

#[derive(Default)]
struct Node {
    texts: BTreeMap<String, Node>,
    any: Option<Box<Node>>,
    /// Patterns that end here, the first for each end.
    ends: Vec<(End, IndexedPath)>,
    /// One pattern that ends here or below.
    below: Option<IndexedPath>,
}

impl PatternIndex {
    /// Takes a pattern in.
    pub(crate) fn insert(&mut self, hosts: &[String], pattern: &Pattern, path: &IndexedPath) {
        self.all.insert(pattern, path);
        if hosts.is_empty() {
            self.unnamed.insert(pattern, path);
        }
        for host in hosts {
            let named = self.named.entry(host.clone()).or_default();
            named.insert(pattern, path);
        }
    }

    /// A pattern on one of these hosts that some path fits together with `pattern`.
    pub(crate) fn overlapping(
        &mut self,
        hosts: &[String],
        pattern: &Pattern,
    ) -> Option<&IndexedPath> {
        let named = hosts.iter().filter_map(|host| self.named.get(host));
        let nodes: Vec<&Node> = match hosts {
            [] => vec![&self.all],
            _ => named.chain([&self.unnamed]).collect(),
        };
        let looked_at = &mut self.looked_at;
        let mut walks = nodes.into_iter().map(|node| Walk { node, pattern });
        walks.find_map(|walk| walk.find(0, looked_at))
    }

    #[cfg(test)]
    pub(crate) fn looked_at(&self) -> usize {
        self.looked_at
    }
}

impl Node {
    fn insert(&mut self, pattern: &Pattern, path: &IndexedPath) {
        let mut node = self;
        node.below.get_or_insert_with(|| path.clone());
        for segment in pattern.segments() {
            node = match segment {
                Segment::Text(text) => node.texts.entry(text.clone()).or_default(),
                Segment::Any | Segment::Login => node.any.get_or_insert_default(),
            };
            node.below.get_or_insert_with(|| path.clone());
        }
        let end = pattern.end();
        if !node.ends.iter().any(|(known, _)| *known == end) {
            node.ends.push((end, path.clone()));
        }
    }
}

/// Where the walk along a pattern is.
#[derive(Clone, Copy)]
struct Walk<'n, 'p> {
    node: &'n Node,
    pattern: &'p Pattern,
}

impl<'n> Walk<'n, '_> {
    /// Looks on from the segment `at` of the pattern.
    fn find(self, at: usize, looked_at: &mut usize) -> Option<&'n IndexedPath> {
        *looked_at += 1;
        let Self { node, pattern } = self;
        let Some(segment) = pattern.segments().get(at) else {
            let end = pattern.end();
            if end == End::Rest {
                return node.below.as_ref();
            }
            let mut ends = node.ends.iter();
            let met = ends.find(|(known, _)| known.meets(end));
            return met.map(|(_, path)| path);
        };
        let mut rest = node.ends.iter().filter(|(end, _)| *end == End::Rest);
        if let Some((_, path)) = rest.next() {
            return Some(path);
        }
        let mut on = |node| Walk { node, pattern }.find(at + 1, looked_at);
        let found = node.any.as_deref().and_then(&mut on);
        found.or_else(|| match segment {
            Segment::Text(text) => node.texts.get(text).and_then(on),
            Segment::Any | Segment::Login => node.texts.values().find_map(on),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::compile(text, false).unwrap()
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
            let compile = |text: &str| Pattern::compile(text, slash_optional).unwrap();
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
