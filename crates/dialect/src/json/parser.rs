//! The parser: recursive descent with a bounded depth, linear in the text.

use std::borrow::Cow;

use super::{Json, JsonFault, JsonMember, JsonNode, JsonRules};

/// Parses a whole text.
pub(crate) fn parse(bytes: &[u8], rules: JsonRules) -> Result<JsonNode<'_>, JsonFault> {
    // RFC 8259 section 8.1: "JSON text exchanged between systems that are not part of a closed
    // ecosystem MUST be encoded using UTF-8".
    let text = std::str::from_utf8(bytes).map_err(|error| JsonFault {
        offset: error.valid_up_to(),
        what: "not UTF-8",
    })?;
    let mut parser = JsonParser { text, at: 0, rules };
    parser.blanks();
    let node = parser.value(0)?;
    parser.blanks();
    if parser.at < text.len() {
        parser.fault("something after the value")
    } else {
        Ok(node)
    }
}

struct JsonParser<'a> {
    text: &'a str,
    at: usize,
    rules: JsonRules,
}

impl<'a> JsonParser<'a> {
    fn fault<T>(&self, what: &'static str) -> Result<T, JsonFault> {
        Err(JsonFault {
            offset: self.at,
            what,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Result<JsonNode<'a>, JsonFault> {
        if depth >= self.rules.depth {
            return self.fault("nested too deeply");
        }
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Json::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Json::Bool(true))?,
            Some(b'f') => self.word("false", Json::Bool(false))?,
            Some(b'n') => self.word("null", Json::Null)?,
            Some(_) => return self.fault("no JSON value"),
            None => return self.fault("ends where a value is needed"),
        };
        Ok(JsonNode {
            span: start..self.at,
            value,
        })
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonFault> {
        if !self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word))
        {
            return self.fault("no JSON value");
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonFault> {
        let start = self.at;
        self.at += 1;
        let mut members = Vec::new();
        self.blanks();
        while !self.eat(b'}') {
            if !members.is_empty() && !self.eat(b',') {
                return self.fault("`,` or `}` is needed");
            }
            self.blanks();
            members.push(self.member(depth)?);
            self.blanks();
        }
        if !self.rules.duplicates && repeats(&members) {
            return Err(JsonFault {
                offset: start,
                what: "a member twice in the object",
            });
        }
        Ok(Json::Object(members))
    }

    fn member(&mut self, depth: usize) -> Result<JsonMember<'a>, JsonFault> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return self.fault("a member name is needed");
        }
        let key = self.string()?;
        self.blanks();
        if !self.eat(b':') {
            return self.fault("`:` is needed");
        }
        self.blanks();
        Ok(JsonMember {
            start,
            key,
            node: self.value(depth + 1)?,
        })
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonFault> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        while !self.eat(b']') {
            if !items.is_empty() && !self.eat(b',') {
                return self.fault("`,` or `]` is needed");
            }
            self.blanks();
            items.push(self.value(depth + 1)?);
            self.blanks();
        }
        Ok(Json::Array(items))
    }

    fn number(&mut self) -> Result<Json<'a>, JsonFault> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(Json::Number(self.slice(start).into()))
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            self.fault("a digit is needed")
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonFault> {
        self.at += 1;
        let mut whole = Cow::Borrowed("");
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            append(&mut whole, self.slice(start));
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => whole.to_mut().push(self.escaped()?),
                Some(_) => return self.fault("a control character in a string"),
                None => return self.fault("an unterminated string"),
            }
        }
        self.at += 1;
        Ok(whole)
    }

    fn escaped(&mut self) -> Result<char, JsonFault> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fault("no such escape"),
        };
        self.at += 1;
        Ok(c)
    }

    /// `\uXXXX`, or a pair of surrogates. A lone surrogate is not a character.
    fn unicode(&mut self) -> Result<char, JsonFault> {
        let high = self.hex4()?;
        if !(0xd800..0xdc00).contains(&high) {
            return char::from_u32(high).map_or_else(|| self.fault("a lone surrogate"), Ok);
        }
        if !self.eat(b'\\') || self.peek() != Some(b'u') {
            return self.fault("a lone surrogate");
        }
        let low = self.hex4()?;
        if !(0xdc00..0xe000).contains(&low) {
            return self.fault("a lone surrogate");
        }
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        char::from_u32(code).map_or_else(|| self.fault("no character"), Ok)
    }

    fn hex4(&mut self) -> Result<u32, JsonFault> {
        self.at += 1;
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => self.fault("four hex digits are needed"),
        }
    }
}

fn append<'a>(whole: &mut Cow<'a, str>, part: &'a str) {
    if whole.is_empty() && matches!(whole, Cow::Borrowed(_)) {
        *whole = Cow::Borrowed(part);
    } else if !part.is_empty() {
        whole.to_mut().push_str(part);
    }
}

fn repeats(members: &[JsonMember<'_>]) -> bool {
    let mut keys: Vec<&str> = members.iter().map(|member| &*member.key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}
