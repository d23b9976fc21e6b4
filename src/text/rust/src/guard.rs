// SPDX-License-Identifier: Apache-2.0
//! Who wrote a special token's text: the template, or a user?
//!
//! Before rendering, `mark` puts a mark (a character that occurs nowhere else in this render) into every
//! place of a user's string where the text of a special token starts or could start once the template has
//! trimmed, cut, joined or lower-cased it. After rendering, `unmark` removes all marks and looks where
//! special tokens' texts stand now: one with a mark inside holds characters a user wrote, so that range is
//! user text. All other text stays in one piece with the template's, which keeps an honest prompt's tokens
//! exactly those of the whole text.
//!
//! Marked are, with the mark after the first character:
//! - whole special texts, in any case of letters;
//! - openers (first characters of special texts: `<`, `[`) not followed by a letter or `/`: "<|", "<｜", "<\n";
//! - an end of the string that begins a special text ("<|im_"), which the next string could complete;
//! - a role that spells a special text's inside ("im_end"), for templates that write '<|' + role + '|>'.
//!
//! Tags such as </think> that are not special tokens stay unmarked, so templates can search for them.

use aho_corasick::{AhoCorasick, MatchKind};
use std::collections::HashSet;
use std::ops::Range;

/// Reasoning and call tags are the assistant's own words, spelled by the model as tokens: an assistant's
/// history may carry them, and templates cut history at them.
const ASSISTANT_TAGS: [&str; 4] = ["<think>", "</think>", "<tool_call>", "</tool_call>"];

const KNOWN_ROLES: [&str; 10] =
    ["system", "developer", "user", "assistant", "tool", "function", "ipython", "observation", "model", "human"];

pub struct Guard {
    specials: Vec<String>, // sorted, lower case: for ends that begin a special text
    insides: HashSet<String>,
    openers: HashSet<char>,
    longest: usize, // bytes of the longest special text
    any_case: Option<AhoCorasick>,
    exact: Option<AhoCorasick>,
    assistant_only: Vec<bool>, // by pattern of `any_case`: is it one of ASSISTANT_TAGS
}

/// One render's mark, and whose string is being marked.
#[derive(Clone, Copy)]
pub struct Marking {
    pub mark: char,
    pub assistant: bool,
}

pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c) // as Python's str.isspace
}

impl Guard {
    pub fn new(mut texts: Vec<String>) -> Result<Guard, String> {
        // Runs of blanks are user-defined tokens in some vocabularies; a user may well write them.
        texts.retain(|t| t.trim_matches(is_space).chars().count() >= 2);
        texts.sort();
        texts.dedup();
        let build = |any_case: bool| {
            if texts.is_empty() {
                return Ok(None);
            }
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::Standard).ascii_case_insensitive(any_case);
            builder.build(&texts).map(Some).map_err(|e| format!("special tokens: {e}"))
        };
        let mut specials: Vec<String> = texts.iter().map(|t| t.to_ascii_lowercase()).collect();
        let insides = specials.iter().map(|t| t.trim_matches(|c: char| !c.is_alphanumeric()).to_owned()).collect();
        specials.sort();
        let first = texts.iter().filter_map(|t| t.chars().next());
        Ok(Guard {
            openers: first.filter(|c| !c.is_alphanumeric() && !is_space(*c)).collect(),
            longest: texts.iter().map(String::len).max().unwrap_or(0),
            assistant_only: texts.iter().map(|t| ASSISTANT_TAGS.contains(&t.as_str())).collect(),
            any_case: build(true)?,
            exact: build(false)?,
            specials,
            insides,
        })
    }

    pub fn special_texts(&self) -> &[String] {
        &self.specials
    }

    /// `text` with marks; most strings come back as they are.
    pub fn mark(&self, text: &str, marking: Marking) -> String {
        let Some(finder) = &self.any_case else { return text.to_owned() };
        let mut places: Vec<usize> = Vec::new(); // byte offsets to put a mark at
        for found in finder.find_overlapping_iter(text) {
            if !(marking.assistant && self.assistant_only[found.pattern().as_usize()]) {
                places.push(after_first(text, found.start()));
            }
        }
        for (at, c) in text.char_indices().filter(|(_, c)| self.openers.contains(c)) {
            let next = at + c.len_utf8();
            if !text[next..].starts_with(|n: char| n.is_ascii_alphabetic() || n == '/') {
                places.push(next);
            }
        }
        self.mark_end(text, &mut places);
        insert(text, places, marking.mark)
    }

    /// As `mark`, for the value of a message's "role".
    pub fn mark_role(&self, role: &str, marking: Marking) -> String {
        let plain = role.trim_matches(is_space).to_ascii_lowercase();
        if !KNOWN_ROLES.contains(&plain.as_str()) && !plain.is_empty() && self.insides.contains(&plain) {
            let first = role.find(|c| !is_space(c)).unwrap_or(0);
            return insert(role, vec![after_first(role, first)], marking.mark);
        }
        self.mark(role, marking)
    }

    fn mark_end(&self, text: &str, places: &mut Vec<usize>) {
        let kept = text.trim_end_matches(is_space);
        let earliest = kept.len().saturating_sub(self.longest);
        let tail = kept.char_indices().rev().take_while(|(at, _)| *at >= earliest);
        for (at, _) in tail.filter(|(_, c)| self.openers.contains(c)) {
            let end = kept[at..].to_ascii_lowercase();
            let next = self.specials.partition_point(|s| s.as_str() < end.as_str());
            if self.specials.get(next).is_some_and(|s| s.starts_with(&end)) {
                places.push(after_first(text, at));
            }
        }
    }

    /// Takes the marks out of what was rendered; returns the text and the ranges of special texts that
    /// users had a hand in.
    pub fn unmark(&self, rendered: String, mark: char) -> (String, Vec<Range<usize>>) {
        if !rendered.contains(mark) {
            return (rendered, Vec::new());
        }
        let mut text = String::with_capacity(rendered.len());
        let mut marks = Vec::new(); // offsets in `text`, ascending
        for piece in rendered.split(mark) {
            text.push_str(piece);
            marks.push(text.len());
        }
        marks.pop(); // the end is no mark
        let Some(finder) = &self.exact else { return (text, Vec::new()) };
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for found in finder.find_overlapping_iter(&text) {
            let inside = marks.partition_point(|m| *m <= found.start());
            if marks.get(inside).is_some_and(|m| *m < found.end()) {
                ranges.push(found.range());
            }
        }
        (text, merged(ranges))
    }
}

fn after_first(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(0, char::len_utf8)
}

fn insert(text: &str, mut places: Vec<usize>, mark: char) -> String {
    places.sort_unstable();
    places.dedup();
    let mut marked = String::with_capacity(text.len() + places.len() * mark.len_utf8());
    let mut from = 0;
    for place in places {
        marked.push_str(&text[from..place]);
        marked.push(mark);
        from = place;
    }
    marked.push_str(&text[from..]);
    marked
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|r| r.start);
    let mut all: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

/// A character that none of `texts` holds, so that it means nothing but "mark" in this render. The
/// candidates are printable letters without case, which no filter changes or escapes.
pub fn unused_character<'a>(texts: impl Iterator<Item = &'a str>) -> Result<char, String> {
    let candidates = || (0x13000..=0x1342e).chain(0x20000..=0x2a6dd).filter_map(char::from_u32);
    let used: HashSet<char> = texts.flat_map(str::chars).filter(|c| *c >= '\u{13000}').collect();
    let unused = candidates().find(|c| !used.contains(c));
    unused.ok_or_else(|| "the messages use every character there is; shorten them".to_owned())
}
