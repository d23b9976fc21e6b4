// SPDX-License-Identifier: Apache-2.0
//! What a client's JSON Schema becomes before llguidance compiles it: our options in place of any the client wrote,
//! and everything refused or tightened that its grammars would let more through than the schema does.

use serde_json::{json, Map, Value};

/// One line break with indentation, or one blank: what printers write. Unlimited blanks would let a weak model
/// write nothing else until its tokens are used up.
const BLANKS: &str = r"( |\n[ \t]{0,32})";
/// No \u: an escaped letter would hide a key's name from the schema.
const ESCAPES: &str = "nrbtf\\\"";

pub fn prepared(source: &str) -> Result<Value, String> {
    let schema: Value = serde_json::from_str(source).map_err(|e| format!("the schema is not JSON: {e}"))?;
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        Value::Bool(false) => return Err("the schema is false: nothing fits it".to_owned()),
        Value::Object(map) => Value::Object(map),
        _ => return Err("a schema must be an object or a boolean".to_owned()),
    };
    tighten(&mut schema, true)?;
    let options = json!({"whitespace_flexible": true, "whitespace_pattern": BLANKS, "json_allowed_escapes": ESCAPES});
    schema.as_object_mut().expect("made above").insert("x-guidance".to_owned(), options);
    Ok(schema)
}

fn tighten(value: &mut Value, root: bool) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            check_references(map, root)?;
            check_counts(map)?;
            check_characters(map)?;
            for (key, inner) in map.iter_mut() {
                if !matches!(key.as_str(), "const" | "enum" | "default" | "examples") {
                    tighten(inner, false)?;
                }
            }
            exact_format(map);
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| tighten(item, false)),
        _ => Ok(()),
    }
}

/// A reference is taken for a path from the root: what could make it mean something else is refused.
fn check_references(map: &Map<String, Value>, root: bool) -> Result<(), String> {
    if !root && matches!(map.get("$id"), Some(Value::String(_))) {
        return Err("'$id' inside a schema is not supported".to_owned());
    }
    let Some(Value::String(to)) = map.get("$ref") else { return Ok(()) };
    if to != "#" && (!to.starts_with("#/") || to == "#/") {
        return Err(format!("'$ref' to '{to}' is not supported: only references like '#/$defs/name' are"));
    }
    if to.contains(['~', '%']) {
        return Err(format!("'$ref' to '{to}' is not supported: it has escapes"));
    }
    Ok(())
}

/// A grammar counts a key that comes twice as two; a reader keeps one.
fn check_counts(map: &Map<String, Value>) -> Result<(), String> {
    let Some(least) = map.get("minProperties").and_then(Value::as_u64) else { return Ok(()) };
    let required = map.get("required").and_then(Value::as_array).map_or(0, Vec::len);
    let closed = map.get("additionalProperties") == Some(&Value::Bool(false)) && !map.contains_key("patternProperties");
    if least <= 1 || least <= required as u64 || closed {
        return Ok(());
    }
    Err("'minProperties' above 1 is supported only where 'required' names as many keys, or 'additionalProperties' is \
         false"
        .to_owned())
}

/// A text that only \u could write cannot be written.
fn check_characters(map: &Map<String, Value>) -> Result<(), String> {
    for key in ["const", "enum", "required"] {
        if map.get(key).is_some_and(is_unwritable) {
            return Err(format!("'{key}' holds a control character, which is not supported"));
        }
    }
    match map.get("properties") {
        Some(Value::Object(names)) if names.keys().any(|name| has_control(name)) => {
            Err("'properties' holds a control character, which is not supported".to_owned())
        }
        _ => Ok(()),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c < ' ' && !"\u{8}\u{c}\n\r\t".contains(c))
}

fn is_unwritable(value: &Value) -> bool {
    match value {
        Value::String(text) => has_control(text),
        Value::Array(items) => items.iter().any(is_unwritable),
        Value::Object(map) => map.iter().any(|(name, inner)| has_control(name) || is_unwritable(inner)),
        _ => false,
    }
}

const DATE: &str = concat!(
    r"(?:[0-9]{4}-(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    r"|[0-9]{4}-(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    r"|[0-9]{4}-02-(?:0[1-9]|1[0-9]|2[0-8])",
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
);
const TIME: &str =
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";
const LABEL: &str = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";

/// Formats whose grammar is a little too wide become patterns that are a little too narrow: no leap seconds, no
/// names in punycode.
fn exact_format(map: &mut Map<String, Value>) {
    let parts = match map.get("format").and_then(Value::as_str) {
        Some("date") => vec![json!({"pattern": format!("^{DATE}$")})],
        Some("time") => vec![json!({"pattern": format!("^{TIME}$")})],
        Some("date-time") => vec![json!({"pattern": format!("^{DATE}[Tt]{TIME}$")})],
        Some("hostname") => vec![
            json!({"pattern": format!(r"^{LABEL}(?:\.{LABEL})*$"), "maxLength": 253}),
            json!({"pattern": "^(?:-?[a-zA-Z0-9.])*$"}),
        ],
        _ => return,
    };
    map.remove("format");
    match map.entry("allOf").or_insert_with(|| json!([])) {
        Value::Array(all) => all.extend(parts),
        other => *other = Value::Null, // not a list: the compiler refuses it
    }
}
