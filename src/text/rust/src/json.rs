// SPDX-License-Identifier: Apache-2.0
//! The `tojson` filter as Hugging Face defines it: Python's json.dumps with ensure_ascii=False.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

const DEPTH_MAX: usize = 200;
const SIZE_MAX: usize = 16 << 20;

struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    mark: Option<char>, // passes through unescaped: it is taken out again after rendering
}

/// Positional order: ensure_ascii, indent, separators, sort_keys.
pub fn tojson(
    state: &State,
    value: &Value,
    ensure_ascii: Option<Value>,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let ensure_ascii = options.get::<Option<Value>>("ensure_ascii")?.or(ensure_ascii);
    let indent = match options.get::<Option<Value>>("indent")?.or(indent) {
        Some(v) if !v.is_none() && !v.is_undefined() => Some(match v.as_str() {
            Some(text) => text.chars().take(64).collect(),
            None => " ".repeat(v.as_i64().unwrap_or(0).clamp(0, 64) as usize),
        }),
        _ => None,
    };
    let separators = options.get::<Option<Value>>("separators")?.filter(|v| !v.is_none());
    let separator = |i: usize, default: &str| -> Result<String, Error> {
        let Some(pair) = &separators else { return Ok(default.to_owned()) };
        pair.get_item_by_index(i)?
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "tojson: separators must be two strings"))
    };
    let style = Style {
        ensure_ascii: ensure_ascii.is_some_and(|v| v.is_true()),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        item_separator: separator(0, if indent.is_some() { "," } else { ", " })?,
        key_separator: separator(1, ": ")?,
        indent,
        mark: state.lookup(crate::template::MARK_VARIABLE).and_then(|v| v.as_str()?.chars().next()),
    };
    options.assert_all_used()?;
    let mut out = String::new();
    style.write(value, 0, &mut out)?;
    state.consume_fuel((out.len() / 16) as u64)?;
    Ok(Value::from(out))
}

impl Style {
    fn write(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        let fail = |what: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: {what}")));
        if depth > DEPTH_MAX {
            return fail("the value is nested too deeply");
        }
        if out.len() > SIZE_MAX {
            return fail("the result is larger than 16 MiB");
        }
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or(""), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let mut items = 0;
                out.push('[');
                for item in value.try_iter()?.checked() {
                    self.start_item(items, depth, out);
                    self.write(&item?, depth + 1, out)?;
                    items += 1;
                }
                self.finish_items(items, depth, out);
                out.push(']');
            }
            ValueKind::Map => {
                let mut keys = value.try_iter()?.checked().collect::<Result<Vec<Value>, Error>>()?;
                if self.sort_keys {
                    keys.sort_by_cached_key(key_text);
                }
                out.push('{');
                for (i, key) in keys.iter().enumerate() {
                    self.start_item(i, depth, out);
                    self.string(&key_text(key), out);
                    out.push_str(&self.key_separator);
                    self.write(&value.get_item(key)?, depth + 1, out)?;
                }
                self.finish_items(keys.len(), depth, out);
                out.push('}');
            }
            kind => return fail(&format!("{kind} has no JSON form")),
        }
        Ok(())
    }

    fn start_item(&self, index: usize, depth: usize, out: &mut String) {
        if index > 0 {
            out.push_str(&self.item_separator);
        }
        self.new_line(depth + 1, out);
    }

    fn finish_items(&self, count: usize, depth: usize, out: &mut String) {
        if count > 0 {
            self.new_line(depth, out);
        }
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
                c if self.ensure_ascii && !(' '..='~').contains(&c) && Some(c) != self.mark => {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn key_text(key: &Value) -> String {
    match key.kind() {
        ValueKind::String => key.as_str().unwrap_or("").to_owned(),
        ValueKind::None => "null".to_owned(),
        ValueKind::Bool => if key.is_true() { "true" } else { "false" }.to_owned(),
        _ => number(key),
    }
}

fn number(value: &Value) -> String {
    if value.is_integer() {
        return value.to_string();
    }
    f64::try_from(value.clone()).map_or_else(|_| value.to_string(), python_float)
}

/// Python's repr of a float: the shortest digits, an exponent below 1e-4 and from 1e16 on.
fn python_float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = x.to_string();
    if plain.contains('.') {
        plain
    } else {
        plain + ".0"
    }
}
