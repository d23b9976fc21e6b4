// SPDX-License-Identifier: Apache-2.0
//! Grammars that an answer must follow: which tokens may come next. The work is llguidance's; here stand the
//! limits, what is refused beyond its own checks, and the words of a refusal.

use crate::schema;
use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use std::sync::Arc;

const SOURCE_BYTES_MAX: usize = 1 << 20;
const GROUPS_DEEP_MAX: i32 = 100;
/// Compiling recurses over the source; this is enough for all that the limits let through.
const STACK_BYTES: usize = 64 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    JsonSchema,
    Regex,
    Lark,
}

pub struct Vocabulary {
    factory: ParserFactory,
    words: usize,
}

pub struct Token<'a> {
    pub bytes: &'a [u8],
    pub control: bool,
}

impl Vocabulary {
    /// Control tokens are never part of a text; `ends` may come where the answer may end.
    pub fn new(tokens: &[Token], ends: &[u32]) -> Result<Vocabulary, String> {
        let first = *ends.first().ok_or("the vocabulary has no token that ends an answer")?;
        let texts: Vec<Vec<u8>> = tokens
            .iter()
            .map(|token| {
                let mark: &[u8] = if token.control { &[TokTrie::SPECIAL_TOKEN_MARKER] } else { &[] };
                [mark, token.bytes].concat()
            })
            .collect();
        let count = u32::try_from(texts.len()).map_err(|_| "the vocabulary is too large".to_owned())?;
        if ends.iter().any(|end| *end >= count) {
            return Err("an end token is not in the vocabulary".to_owned());
        }
        let trie = TokTrie::from(&TokRxInfo::new(count, first), &texts).with_eos_tokens(ends);
        let env: llguidance::toktrie::TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&env).map_err(|e| e.to_string())?;
        factory.quiet();
        *factory.limits_mut() =
            ParserLimits { max_lexer_states: 50_000, verbose_errors: false, ..ParserLimits::default() };
        Ok(Vocabulary { factory, words: texts.len().div_ceil(32) })
    }

    pub fn compile(&self, kind: Kind, source: &str) -> Result<Grammar, String> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(format!("it has {} bytes; at most {SOURCE_BYTES_MAX} are taken", source.len()));
        }
        let work = || {
            let grammar = match kind {
                Kind::JsonSchema => TopLevelGrammar::from_json_schema(schema::prepared(source)?),
                Kind::Regex => TopLevelGrammar::from_regex(source),
                Kind::Lark => {
                    check_depth(source)?;
                    TopLevelGrammar::from_lark(source.to_owned())
                }
            };
            let parser = self.factory.create_parser(grammar).map_err(|e| readable(&e.to_string()))?;
            let mut matcher = Matcher::new(Ok(parser));
            let first = matcher.compute_mask_or_eos().map_err(|e| readable(&e.to_string()))?;
            if first.is_zero() {
                return Err("no text at all can follow it".to_owned());
            }
            Ok(Grammar { matcher, words: self.words })
        };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            let thread = builder.spawn_scoped(scope, work).map_err(|e| format!("no thread to compile it: {e}"))?;
            thread
                .join()
                .unwrap_or_else(|panic| Err(format!("it cannot be compiled: {}", crate::panic_text(panic.as_ref()))))
        })
    }
}

/// One answer's place in its grammar.
pub struct Grammar {
    matcher: Matcher,
    words: usize,
}

impl Grammar {
    /// Sets one bit for every token that may come next.
    pub fn mask(&mut self, out: &mut [u32]) -> Result<(), String> {
        let set = self.matcher.compute_mask_or_eos().map_err(|e| readable(&e.to_string()))?;
        let bits = set.as_slice();
        let count = self.words.min(bits.len()).min(out.len());
        out[..count].copy_from_slice(&bits[..count]);
        out[count..].fill(0);
        Ok(())
    }

    pub fn accept(&mut self, token: u32) -> Result<(), String> {
        self.matcher.consume_token(token).map_err(|e| readable(&e.to_string()))
    }

    pub fn finished(&self) -> bool {
        self.matcher.is_stopped()
    }

    pub fn may_end(&mut self) -> bool {
        self.matcher.is_accepting().unwrap_or(false)
    }

    pub fn copy(&self) -> Grammar {
        Grammar { matcher: self.matcher.deep_clone(), words: self.words }
    }
}

fn check_depth(source: &str) -> Result<(), String> {
    let mut depth = 0;
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => continue,
        }
        if depth > GROUPS_DEEP_MAX {
            return Err(format!("it nests deeper than {GROUPS_DEEP_MAX} levels"));
        }
    }
    Ok(())
}

/// One line, the keyword in it named as a client wrote it.
fn readable(message: &str) -> String {
    let line = message.lines().next().unwrap_or("unknown failure").trim();
    if let Some(keys) = line.strip_prefix("Unimplemented keys: ") {
        return format!("these keywords are not supported: {}", keys.trim_matches(['[', ']']).replace('"', "'"));
    }
    if line.starts_with("oneOf constraints are not supported") {
        return "'oneOf' is supported only where its choices exclude each other by type or constant; use 'anyOf'"
            .to_owned();
    }
    // What is wrong with a regular expression stands below a picture of it.
    if let Some((place, _)) = line.split_once(" (in regex)").or_else(|| line.split_once("regex parse error")) {
        if let Some(reason) = message.lines().rev().find_map(|l| l.trim().strip_prefix("error: ")) {
            let place: String = place.trim_end_matches([':', ' ']).chars().take(300).collect();
            let reason: String = reason.chars().take(200).collect();
            return format!("{place}: {reason}");
        }
    }
    line.chars().take(400).collect()
}
