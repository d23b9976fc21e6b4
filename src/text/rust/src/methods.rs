// SPDX-License-Identifier: Apache-2.0
//! Python's methods on strings, lists and dicts, as far as chat templates use them.
//!
//! minijinja-contrib has most; here are those it lacks, those where its result differs from Python's, and
//! those whose result can be far larger than their input, which are paid for before they are made.

use crate::guard::is_space;
use minijinja::value::{from_args, Kwargs, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

pub fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => value.as_str().map_or(Ok(None), |text| on_string(state, text, method, args))?,
        ValueKind::Seq => on_list(value, method, args)?,
        ValueKind::Map => on_dict(value, method, args)?,
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// Which end of a string a method works on.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Left,
    Right,
    Both,
}

fn on_string(state: &State, text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" => strip(text, Side::Both, args)?,
        "lstrip" => strip(text, Side::Left, args)?,
        "rstrip" => strip(text, Side::Right, args)?,
        "split" => split(state, text, Side::Left, args)?,
        "rsplit" => split(state, text, Side::Right, args)?,
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(args)?;
            replace(state, text, old, new, count.unwrap_or(-1))?
        }
        "join" => {
            let (items,): (&Value,) = from_args(args)?;
            join(state, text, items)?
        }
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            let lines = lines(text, keep.unwrap_or(false));
            state.consume_fuel(lines.len() as u64)?;
            Value::from(lines)
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "partition" => {
            let (separator,): (&str,) = from_args(args)?;
            let parts = text.split_once(separator);
            triple(parts.map_or([text, "", ""], |(a, b)| [a, separator, b]))
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let parts = text.rsplit_once(separator);
            triple(parts.map_or(["", "", text], |(a, b)| [a, separator, b]))
        }
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "index" | "rindex" => {
            let (wanted,): (&str,) = from_args(args)?;
            let at = if method == "index" { text.find(wanted) } else { text.rfind(wanted) };
            let at = at.ok_or_else(|| invalid("substring not found"))?;
            Value::from(text[..at].chars().count())
        }
        "casefold" => Value::from(text.to_lowercase()),
        "ljust" => justify(text, Side::Right, args)?,
        "rjust" => justify(text, Side::Left, args)?,
        "zfill" => {
            let (width,): (i64,) = from_args(args)?;
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            Value::from(format!("{sign}{}{digits}", padding(text, width, '0')?))
        }
        // Widths in a format can ask for any size.
        "format" => return Err(invalid("str.format is not supported in chat templates; use ~")),
        _ => return Ok(None),
    }))
}

fn on_list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method != "index" {
        return Ok(None);
    }
    let (wanted,): (&Value,) = from_args(args)?;
    for (i, item) in value.try_iter()?.checked().enumerate() {
        if item? == *wanted {
            return Ok(Some(Value::from(i)));
        }
    }
    Err(invalid("the value is not in the list"))
}

fn on_dict(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    if method != "copy" {
        return Ok(None);
    }
    let () = from_args(args)?;
    Ok(Some(value.clone()))
}

fn triple(parts: [&str; 3]) -> Value {
    Value::from(Tuple::from(parts.map(Value::from)))
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn optional_text(value: &Option<Value>) -> Result<Option<&str>, Error> {
    match value {
        Some(v) if v.is_none() || v.is_undefined() => Ok(None),
        Some(v) => v.as_str().map(Some).ok_or_else(|| invalid("a string was expected")),
        None => Ok(None),
    }
}

fn strip(text: &str, side: Side, args: &[Value]) -> Result<Value, Error> {
    let (chars,): (Option<Value>,) = from_args(args)?;
    Ok(Value::from(stripped(text, side, optional_text(&chars)?)))
}

fn stripped<'a>(text: &'a str, side: Side, chars: Option<&str>) -> &'a str {
    let drop = |c: char| chars.map_or_else(|| is_space(c), |set| set.contains(c));
    let text = if side == Side::Right { text } else { text.trim_start_matches(drop) };
    if side == Side::Left {
        text
    } else {
        text.trim_end_matches(drop)
    }
}

/// Jinja's `trim` filter.
pub fn trim(value: &Value, chars: Option<Value>) -> Result<Value, Error> {
    let text = value.to_string();
    Ok(Value::from(stripped(&text, Side::Both, optional_text(&chars)?)))
}

fn split(state: &State, text: &str, from: Side, args: &[Value]) -> Result<Value, Error> {
    let (separator, most, options): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = options.get::<Option<Value>>("sep")?.or(separator);
    let most = options.get::<Option<i64>>("maxsplit")?.or(most).unwrap_or(-1);
    options.assert_all_used()?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let separator = optional_text(&separator)?;
    if separator == Some("") {
        return Err(invalid("split: the separator is empty"));
    }
    let mut parts: Vec<Value> = Vec::new();
    let mut rest = if separator.is_none() { text.trim_matches(is_space) } else { text };
    let keep_rest = separator.is_some() || !rest.is_empty();
    while parts.len() < most {
        let cut = match (separator, from) {
            (Some(s), Side::Right) => rest.rsplit_once(s).map(|(a, b)| (b, a)),
            (Some(s), _) => rest.split_once(s),
            (None, Side::Right) => rest.rsplit_once(is_space).map(|(a, b)| (b, a.trim_end_matches(is_space))),
            (None, _) => rest.split_once(is_space).map(|(a, b)| (a, b.trim_start_matches(is_space))),
        };
        let Some((part, remaining)) = cut else { break };
        state.consume_fuel(1)?;
        parts.push(Value::from(part));
        rest = remaining;
    }
    if keep_rest {
        // With blanks as separators Python keeps the blanks at the far end of a rest cut short.
        let cut_short = separator.is_none() && parts.len() == most;
        parts.push(Value::from(if cut_short { with_far_blanks(text, rest, from) } else { rest }));
    }
    if from == Side::Right {
        parts.reverse();
    }
    Ok(Value::from(parts))
}

/// `rest`, a slice of `text`, extended over the blanks beyond the end that splitting did not reach.
fn with_far_blanks<'a>(text: &'a str, rest: &'a str, from: Side) -> &'a str {
    let start = rest.as_ptr() as usize - text.as_ptr() as usize;
    if from == Side::Right {
        &text[..start + rest.len()]
    } else {
        &text[start..]
    }
}

fn replace(state: &State, text: &str, old: &str, new: &str, count: i64) -> Result<Value, Error> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    if new.len() > old.len() {
        let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
        pay(state, found.min(most).saturating_mul(new.len() - old.len()))?;
    }
    Ok(Value::from(if count < 0 { text.replace(old, new) } else { text.replacen(old, new, most) }))
}

fn join(state: &State, separator: &str, items: &Value) -> Result<Value, Error> {
    let mut text = String::new();
    for (i, item) in items.try_iter()?.checked().enumerate() {
        let item = item?;
        let item = item.as_str().ok_or_else(|| invalid("join: a list of strings was expected"))?;
        pay(state, item.len() + separator.len())?;
        if i > 0 {
            text.push_str(separator);
        }
        text.push_str(item);
    }
    Ok(Value::from(text))
}

/// Charges for bytes about to be made, at the engine's own rate.
fn pay(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / 64 + 1) as u64)
}

fn lines(text: &str, keep_ends: bool) -> Vec<Value> {
    let is_end = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        all.push(Value::from(&rest[..if keep_ends { end } else { at }]));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        all.push(Value::from(rest));
    }
    all
}

fn justify(text: &str, pad_at: Side, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<&str>) = from_args(args)?;
    let fill = fill.unwrap_or(" ").chars().next().unwrap_or(' ');
    let pad = padding(text, width, fill)?;
    Ok(Value::from(if pad_at == Side::Left { pad + text } else { format!("{text}{pad}") }))
}

fn padding(text: &str, width: i64, fill: char) -> Result<String, Error> {
    const WIDTH_MAX: usize = 10_000;
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    if missing > WIDTH_MAX {
        return Err(invalid("the width is larger than 10000"));
    }
    Ok(fill.to_string().repeat(missing))
}
