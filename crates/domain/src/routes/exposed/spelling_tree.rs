//! Patterns as a tree by segment, in which a text is also found by whatever some server
//! may treat as the same.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use crate::pattern::{PathPattern, PatternEnd, PatternSegment};

/// Patterns as a tree by segment.
pub(super) struct SpellingTree(Vec<SpellingNode>);

#[derive(Default)]
pub(super) struct SpellingNode {
    pub(super) texts: BTreeMap<String, usize>,
    /// The texts, by what some server may treat as the same.
    pub(super) alike: BTreeMap<String, Vec<String>>,
    pub(super) any: Option<usize>,
    /// The numbers of the patterns that end here.
    pub(super) ends: Vec<(PatternEnd, usize)>,
}

/// The places in the tree of a path that is read segment by segment, the most specific
/// first.
pub(super) type TreePlaces = Vec<TreePlace>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TreePlace {
    /// At this node.
    Node(usize),
    /// Inside the `*` of this pattern.
    Rest(usize),
}

impl SpellingTree {
    pub(super) fn new() -> Self {
        Self(vec![SpellingNode::default()])
    }

    /// Adds a pattern, unless there is one for the same paths.
    pub(super) fn insert(&mut self, pattern: &PathPattern, number: usize) -> bool {
        let mut at = 0;
        for segment in pattern.segments() {
            let next = self.0.len();
            let node = &mut self.0[at];
            at = match segment {
                PatternSegment::Text(text) => match node.texts.get(text) {
                    Some(known) => *known,
                    None => {
                        node.texts.insert(text.clone(), next);
                        let alike = node.alike.entry(folded(text)).or_default();
                        alike.push(text.clone());
                        next
                    }
                },
                PatternSegment::Any | PatternSegment::Login => *node.any.get_or_insert(next),
            };
            if at == next {
                self.0.push(SpellingNode::default());
            }
        }
        let ends = &mut self.0[at].ends;
        let is_new = ends.iter().all(|(end, _)| *end != pattern.end());
        if is_new {
            ends.push((pattern.end(), number));
        }
        is_new
    }

    pub(super) fn nodes(&self, places: &TreePlaces) -> impl Iterator<Item = &SpellingNode> {
        places.iter().filter_map(|place| match place {
            TreePlace::Node(at) => self.0.get(*at),
            TreePlace::Rest(_) => None,
        })
    }

    /// The places after a segment, which has this text, or one that no pattern has.
    pub(super) fn step(&self, places: &TreePlaces, text: Option<&str>) -> TreePlaces {
        let mut next = Vec::with_capacity(places.len());
        for place in places {
            let TreePlace::Node(at) = *place else {
                next.push(*place);
                continue;
            };
            let node = &self.0[at];
            let spelled = text.and_then(|text| node.texts.get(text));
            next.extend(spelled.map(|at| TreePlace::Node(*at)));
            next.extend(node.any.map(TreePlace::Node));
            let rest = node.ends.iter().find(|(end, _)| *end == PatternEnd::Rest);
            next.extend(rest.map(|(_, number)| TreePlace::Rest(*number)));
        }
        next
    }

    /// The pattern that decides about a path that ends here.
    pub(super) fn decides(&self, places: &TreePlaces, slash: bool) -> Option<usize> {
        let tail: &[&str] = if slash { &[""] } else { &[] };
        places.iter().find_map(|place| match *place {
            TreePlace::Rest(number) => Some(number),
            TreePlace::Node(at) => {
                let ends = self.0[at].ends.iter();
                // What ends here is more specific than the rest.
                let fitting = ends.filter(|(end, _)| end.fits(tail));
                let first = fitting.min_by_key(|(end, _)| *end == PatternEnd::Rest);
                first.map(|(_, number)| *number)
            }
        })
    }
}

/// A form that is equal for segments that some server may treat as the same.
pub(super) fn folded(text: &str) -> String {
    let folded: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let trimmed = |c: char| c.is_whitespace() || c == '.';
    folded.trim_matches(trimmed).to_owned()
}
