//! Finds rules that another spelling of a path gets around.
//!
//! A server may treat two paths as the same if a segment differs in letter case, or has
//! characters at its ends that the server trims, or if a slash is added or missing at the
//! end. The guard tells such paths apart. So a rule that matches the text of a segment
//! does not hold for its other spellings, and the rule that does hold for them may
//! require less.
//!
//! A text has more spellings than could be listed. What matters is only which text of the
//! rules a spelling equals: its own, a similar one, or none, so that only wildcards match
//! it. With these three, the rules are walked as a tree by segment instead of being
//! compared with each other.

mod spelling_tree;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{CompiledRule, RouteAccess, Routes};
use crate::path::JudgedPath;
use crate::pattern::{PathPattern, PatternEnd, PatternSegment};
use crate::scopes::Scopes;
use spelling_tree::{SpellingNode, SpellingTree, TreePlace, TreePlaces, folded};

/// A protected pattern for which another spelling of some path requires less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedRoute<'r> {
    /// The pattern.
    pub path: &'r str,
    /// What it requires.
    pub scopes: &'r Scopes,
    /// Such a spelling, decoded like patterns are.
    pub spelling: String,
    /// What such spellings match; the spelling above matches the first. If each of them
    /// required as much as the pattern, no spelling would require less.
    pub weaker: Vec<WeakerRoute<'r>>,
}

/// A pattern that requires less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakerRoute<'r> {
    /// The pattern of the rule, or of the guarded path where there is no rule.
    pub path: &'r str,
    /// What it requires.
    pub access: WeakerAccess,
}

/// In which way a pattern requires less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeakerAccess {
    /// It requires no credential.
    Public,
    /// It does not require all of the scopes.
    FewerScopes,
    /// It requires a credential but no scope, since there is no rule.
    NoRule,
    /// It does not compare a segment with the caller's login.
    AnyLogin,
}

/// What a protected pattern requires.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Demand<'r> {
    scopes: &'r Scopes,
    /// The positions of the segments that must equal the caller's login.
    logins: Vec<usize>,
}

impl Routes {
    /// The protected patterns that another spelling gets around, each with everything
    /// that would have to require more.
    pub fn exposed(&self) -> Vec<ExposedRoute<'_>> {
        self.exposed_counting().0
    }

    /// The same, and how many steps it took.
    fn exposed_counting(&self) -> (Vec<ExposedRoute<'_>>, usize) {
        let mut all: Vec<ExposedRoute<'_>> = Vec::new();
        let mut steps = 0;
        for method in self.methods_apart() {
            let mut walk = SpellingWalk::new(self, method);
            for (pattern, scopes) in walk.protected() {
                let Some(found) = walk.exposed(pattern, scopes) else {
                    continue;
                };
                match all.iter_mut().find(|it| it.path == found.path) {
                    Some(known) => {
                        let more = found.weaker.into_iter();
                        let more: Vec<_> = more.filter(|it| !known.weaker.contains(it)).collect();
                        known.weaker.extend(more);
                    }
                    None => all.push(found),
                }
            }
            steps += walk.steps;
        }
        (all, steps)
    }

    /// The methods with rules of their own; `""` stands for all that no rule names.
    fn methods_apart(&self) -> BTreeSet<&str> {
        let named = self.rules.iter().flat_map(|rule| &rule.methods);
        let mut methods: BTreeSet<&str> = named.map(String::as_str).collect();
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        methods.insert("");
        methods
    }
}

/// A path on its way through rules and guarded paths.
#[derive(Clone)]
struct Spelled {
    rules: TreePlaces,
    guards: TreePlaces,
    /// Whether a segment is spelled differently than in the pattern.
    departed: bool,
    text: String,
}

/// A segment of a path.
struct Choice {
    /// Which text of the patterns it equals, if any.
    text: Option<String>,
    departs: bool,
    /// How it is written.
    written: String,
}

/// What such a path matches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weaker {
    /// This rule.
    Rule(usize),
    /// No rule, but this guarded path.
    Guard(usize),
}

/// What other spellings of a pattern's paths match that requires less, each with an example.
type WeakerSpellings = Rc<[(Weaker, String)]>;

/// The rules for one method, to be walked with other spellings.
struct SpellingWalk<'r> {
    routes: &'r Routes,
    rules: SpellingTree,
    guards: SpellingTree,
    /// The rules that decide about their own pattern.
    deciding: Vec<usize>,
    any_public: bool,
    /// What was walked: patterns that are gotten around by the same one share its walk.
    walked: BTreeMap<(&'r str, Demand<'r>), WeakerSpellings>,
    steps: usize,
}

impl<'r> SpellingWalk<'r> {
    fn new(routes: &'r Routes, method: &str) -> Self {
        let mut guards = SpellingTree::new();
        for (number, guard) in routes.guards.iter().enumerate() {
            guards.insert(guard, number);
        }
        let mut rules = SpellingTree::new();
        let covering = routes.rules.iter().enumerate();
        let deciding = covering
            .filter(|(_, rule)| rule.covers(method))
            .filter(|(number, rule)| rules.insert(&rule.pattern, *number))
            .map(|(number, _)| number)
            .collect::<Vec<_>>();
        let is_public = |number: &usize| routes.rules[*number].access == RouteAccess::Public;
        Self {
            any_public: deciding.iter().any(is_public),
            routes,
            rules,
            guards,
            deciding,
            walked: BTreeMap::new(),
            steps: 0,
        }
    }

    /// The patterns that require something: those of rules, and guarded paths with a
    /// login.
    fn protected(&self) -> Vec<(&'r PathPattern, &'r Scopes)> {
        static NONE: Scopes = Scopes::none();
        let routes = self.routes;
        let rules = self.deciding.iter().map(|number| &routes.rules[*number]);
        let is_public = |rule: &&CompiledRule| rule.access == RouteAccess::Public;
        let (public, protected): (Vec<_>, Vec<_>) = rules.partition(is_public);
        let guards = routes.guards.iter().filter(|guard| {
            let is_same = |it: &PathPattern| guard.overlaps(it) && guard.specificity(it).is_eq();
            !logins(guard).is_empty() && !public.iter().any(|rule| is_same(&rule.pattern))
        });
        protected
            .into_iter()
            .map(|rule| (&rule.pattern, &rule.scopes))
            .chain(guards.map(|guard| (guard, &NONE)))
            .collect()
    }

    fn exposed(&mut self, own: &'r PathPattern, scopes: &'r Scopes) -> Option<ExposedRoute<'r>> {
        let logins = logins(own);
        if !self.any_public && scopes.is_empty() && logins.is_empty() {
            return None;
        }
        let asked = Demand { scopes, logins };
        let mut weaker = Vec::new();
        let mut seen = BTreeSet::new();
        let mut spelling = None;
        let mut patterns = vec![own];
        // What asks for more afterwards must not be gotten around, either.
        while let Some(pattern) = patterns.pop() {
            for (found, text) in self.walk(pattern, &asked).iter() {
                if seen.insert(*found) {
                    weaker.push(*found);
                    patterns.push(self.pattern(*found));
                    spelling.get_or_insert_with(|| text.clone());
                }
            }
        }
        Some(ExposedRoute {
            path: own.text(),
            scopes,
            spelling: spelling?,
            weaker: weaker
                .into_iter()
                .map(|it| self.weaker_route(it, &asked))
                .collect(),
        })
    }

    /// [`SpellingWalk::weaker_spellings`], or what it found before.
    fn walk(&mut self, pattern: &'r PathPattern, asked: &Demand<'r>) -> WeakerSpellings {
        let key = (pattern.text(), asked.clone());
        if let Some(known) = self.walked.get(&key) {
            return Rc::clone(known);
        }
        let found: WeakerSpellings = self.weaker_spellings(pattern, asked).into();
        self.walked.insert(key, Rc::clone(&found));
        found
    }

    fn pattern(&self, weaker: Weaker) -> &'r PathPattern {
        match weaker {
            Weaker::Rule(number) => &self.routes.rules[number].pattern,
            Weaker::Guard(number) => &self.routes.guards[number],
        }
    }

    fn weaker_route(&self, weaker: Weaker, asked: &Demand<'_>) -> WeakerRoute<'r> {
        let access = match weaker {
            Weaker::Guard(_) if asked.scopes.is_empty() => WeakerAccess::AnyLogin,
            Weaker::Guard(_) => WeakerAccess::NoRule,
            Weaker::Rule(number) => {
                let rule = &self.routes.rules[number];
                match rule.access {
                    RouteAccess::Public => WeakerAccess::Public,
                    RouteAccess::Protected if rule.asks_for(asked.scopes) => WeakerAccess::AnyLogin,
                    RouteAccess::Protected => WeakerAccess::FewerScopes,
                }
            }
        };
        WeakerRoute {
            path: self.pattern(weaker).text(),
            access,
        }
    }

    /// Walks a pattern with every other spelling of its paths; see [`WeakerSpellings`].
    fn weaker_spellings(
        &mut self,
        pattern: &PathPattern,
        asked: &Demand<'_>,
    ) -> Vec<(Weaker, String)> {
        let start = Spelled {
            rules: vec![TreePlace::Node(0)],
            guards: vec![TreePlace::Node(0)],
            departed: false,
            text: String::new(),
        };
        let mut states = vec![start];
        for segment in pattern.segments() {
            let choices = |state: &Spelled| match segment {
                PatternSegment::Text(text) => self.spellings_of(state, text),
                PatternSegment::Any | PatternSegment::Login => self.any_segment(state),
            };
            let stepped = states.iter().flat_map(|state| {
                let choices = choices(state).into_iter();
                choices.map(|choice| self.step(state, &choice))
            });
            let next = distinct(stepped.filter(|it| self.matters(it, asked)).collect());
            self.steps += next.len();
            states = next;
        }
        let departed: Vec<Spelled> = states.iter().filter(|it| it.departed).cloned().collect();
        let at_root = pattern.segments().is_empty();
        let mut ends: Vec<(Spelled, bool)> = Vec::new();
        let mut end = |states: &[Spelled], slash| {
            ends.extend(states.iter().map(|it| (it.clone(), slash)));
        };
        match pattern.end() {
            PatternEnd::Nothing => {
                end(&departed, false);
                end(&states, true);
            }
            PatternEnd::Slash if at_root => {}
            PatternEnd::Slash => {
                end(&departed, true);
                end(&states, false);
            }
            PatternEnd::Either => {
                end(&departed, false);
                end(&departed, true);
            }
            PatternEnd::Rest => {
                let below = self.below(departed, asked);
                end(&below, false);
                end(&below, true);
            }
        }
        let mut found: Vec<(Weaker, String)> = Vec::new();
        let mut seen = BTreeSet::new();
        for (state, slash) in ends {
            let Some(weaker) = self.weaker(&state, slash, asked) else {
                continue;
            };
            if seen.insert(weaker) {
                let slash = if slash { "/" } else { "" };
                found.push((weaker, format!("{}{slash}", state.text)));
            }
        }
        found
    }

    /// These and everything that may follow, as far as it leads to other rules.
    fn below(&mut self, states: Vec<Spelled>, asked: &Demand<'_>) -> Vec<Spelled> {
        let mut all = states.clone();
        let mut last = states;
        while !last.is_empty() {
            let further = last.iter().filter(|it| {
                let mut places = it.rules.iter().chain(&it.guards);
                places.any(|place| matches!(place, TreePlace::Node(_)))
            });
            let stepped = further.flat_map(|state| {
                let choices = self.any_segment(state).into_iter();
                choices.map(|choice| self.step(state, &choice))
            });
            last = distinct(stepped.filter(|it| self.matters(it, asked)).collect());
            self.steps += last.len();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// Whether a path may still match something that requires less.
    fn matters(&self, state: &Spelled, asked: &Demand<'_>) -> bool {
        let for_callers = asked.scopes.is_empty() && asked.logins.is_empty();
        let is_asked = !(state.rules.is_empty() && for_callers);
        is_asked && !state.guards.is_empty()
    }

    fn weaker(&self, state: &Spelled, slash: bool, asked: &Demand<'_>) -> Option<Weaker> {
        let guard = self.guards.decides(&state.guards, slash)?;
        let Some(number) = self.rules.decides(&state.rules, slash) else {
            let less = !asked.scopes.is_empty() || self.any_login(state, slash, None, asked);
            return less.then_some(Weaker::Guard(guard));
        };
        let rule = &self.routes.rules[number];
        let less = rule.access == RouteAccess::Public
            || !rule.asks_for(asked.scopes)
            || self.any_login(state, slash, Some(rule), asked);
        less.then_some(Weaker::Rule(number))
    }

    /// Whether a segment that must equal the caller's login is compared with it neither
    /// by the rule nor by a guarded path that matches.
    fn any_login(
        &self,
        state: &Spelled,
        slash: bool,
        rule: Option<&CompiledRule>,
        asked: &Demand<'_>,
    ) -> bool {
        if asked.logins.is_empty() {
            return false;
        }
        let slash = if slash { "/" } else { "" };
        let text = format!("{}{slash}", state.text);
        let path = JudgedPath::guess(&text);
        let guards = self.routes.guards.iter();
        let mut compared: BTreeSet<usize> = guards
            .filter(|guard| guard.matches(&path).is_some())
            .flat_map(logins)
            .collect();
        compared.extend(rule.into_iter().flat_map(|rule| logins(&rule.pattern)));
        asked.logins.iter().any(|at| !compared.contains(at))
    }

    fn step(&self, state: &Spelled, choice: &Choice) -> Spelled {
        Spelled {
            rules: self.rules.step(&state.rules, choice.text.as_deref()),
            guards: self.guards.step(&state.guards, choice.text.as_deref()),
            departed: state.departed || choice.departs,
            text: format!("{}/{}", state.text, choice.written),
        }
    }

    fn nodes<'w>(&'w self, state: &'w Spelled) -> impl Iterator<Item = &'w SpellingNode> {
        let guards = self.guards.nodes(&state.guards);
        self.rules.nodes(&state.rules).chain(guards)
    }

    /// The text itself, similar ones of other patterns, and one that no pattern has.
    fn spellings_of(&self, state: &Spelled, text: &str) -> Vec<Choice> {
        let alike = folded(text);
        let alike = self.nodes(state).filter_map(|node| node.alike.get(&alike));
        let twins: BTreeSet<&String> = alike.flatten().filter(|it| *it != text).collect();
        let spelled = [(text, false)].into_iter();
        let spelled = spelled.chain(twins.into_iter().map(|it| (it.as_str(), true)));
        let mut choices: Vec<Choice> = spelled
            .map(|(text, departs)| Choice {
                text: Some(text.to_owned()),
                departs,
                written: text.to_owned(),
            })
            .collect();
        choices.push(Choice {
            text: None,
            departs: true,
            written: self.unspelled(state, in_other_case(text)),
        });
        choices
    }

    /// Every text that the patterns have here, and one that they do not have.
    fn any_segment(&self, state: &Spelled) -> Vec<Choice> {
        let texts = self.nodes(state).flat_map(|node| node.texts.keys());
        let texts: BTreeSet<&String> = texts.collect();
        let spelled = texts.into_iter().map(|text| Choice {
            text: Some(text.clone()),
            departs: false,
            written: text.clone(),
        });
        let mut choices: Vec<Choice> = spelled.collect();
        choices.push(Choice {
            text: None,
            departs: false,
            written: self.unspelled(state, "x".to_owned()),
        });
        choices
    }

    /// The text with as many dots at its end as it takes until no pattern has it.
    fn unspelled(&self, state: &Spelled, mut text: String) -> String {
        while self.nodes(state).any(|node| node.texts.contains_key(&text)) {
            text.push('.');
        }
        text
    }
}

/// The positions of the segments that a pattern compares with the caller's login.
fn logins(pattern: &PathPattern) -> Vec<usize> {
    let segments = pattern.segments().iter().enumerate();
    let logins = segments.filter(|(_, segment)| matches!(segment, PatternSegment::Login));
    logins.map(|(at, _)| at).collect()
}

impl CompiledRule {
    /// Whether it requires each of these scopes.
    fn asks_for(&self, scopes: &Scopes) -> bool {
        self.scopes.first_missing(scopes).is_none()
    }
}

/// The text with its first letter in the other case, or, without a letter, with a dot at
/// its end.
fn in_other_case(text: &str) -> String {
    let letter = text.char_indices().find(|(_, c)| c.is_ascii_alphabetic());
    let Some((at, c)) = letter else {
        return format!("{text}.");
    };
    let other = if c.is_ascii_lowercase() {
        c.to_ascii_uppercase()
    } else {
        c.to_ascii_lowercase()
    };
    let (before, after) = (&text[..at], &text[at + 1..]);
    format!("{before}{other}{after}")
}

/// One of the matches that are at the same positions.
fn distinct(states: Vec<Spelled>) -> Vec<Spelled> {
    let mut seen = BTreeSet::new();
    let mut is_new = |it: &Spelled| seen.insert((it.rules.clone(), it.guards.clone(), it.departed));
    states.into_iter().filter(|it| is_new(it)).collect()
}

#[cfg(test)]
mod tests;
