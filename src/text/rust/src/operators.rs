// SPDX-License-Identifier: Apache-2.0
//! `+`, `*` and slices whose results are paid for.
//!
//! The engine's own make lists lazily and free of charge, so a few doublings in a loop take time and memory
//! without end. The compiled template calls these functions instead (see template.rs).

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

pub const ADD: &str = "__deepwell_add";
pub const MULTIPLY: &str = "__deepwell_multiply";
pub const SLICE: &str = "__deepwell_slice";

pub fn add(state: &State, a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(x), Some(y)) = (a.as_str(), b.as_str()) {
        pay(state, x.len() + y.len())?;
        return Ok(Value::from([x, y].concat()));
    }
    if is_list(a) && is_list(b) && a.is_tuple() == b.is_tuple() {
        let mut items = collect(state, a)?;
        items.extend(collect(state, b)?);
        return Ok(list_like(a, items));
    }
    numbers("+", a, b, i128::checked_add, |x, y| x + y)
}

pub fn multiply(state: &State, a: &Value, b: &Value) -> Result<Value, Error> {
    let (repeated, times) = if a.is_integer() { (b, a) } else { (a, b) };
    if !times.is_integer() || (repeated.as_str().is_none() && !is_list(repeated)) {
        return numbers("*", a, b, i128::checked_mul, |x, y| x * y);
    }
    let times = usize::try_from(times.as_i64().unwrap_or(0).max(0)).unwrap_or(0);
    if let Some(text) = repeated.as_str() {
        pay(state, text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    let items = collect(state, repeated)?;
    pay(state, items.len().saturating_mul(times).saturating_mul(SLOT_BYTES))?;
    Ok(list_like(repeated, (0..times).flat_map(|_| items.iter().cloned()).collect()))
}

/// Python's value[start:stop:step].
pub fn slice(state: &State, value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let number = |v: &Value| match v.is_none() || v.is_undefined() {
        true => Ok(None),
        false => v.as_i64().map(Some).ok_or_else(|| invalid("a slice's bounds must be whole numbers")),
    };
    let (start, stop, step) = (number(start)?, number(stop)?, number(step)?.unwrap_or(1));
    if step == 0 {
        return Err(invalid("a slice's step cannot be zero"));
    }
    if let Some(text) = value.as_str() {
        pay(state, text.len())?;
        if step == 1 {
            return Ok(Value::from(substring(text, start, stop)));
        }
        let all: Vec<char> = text.chars().collect();
        return Ok(Value::from(indexes(all.len(), start, stop, step).map(|i| all[i]).collect::<String>()));
    }
    if value.is_undefined() || value.is_none() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    if !is_list(value) {
        return Err(invalid("only strings and lists can be sliced"));
    }
    let items = collect(state, value)?;
    Ok(list_like(value, indexes(items.len(), start, stop, step).map(|i| items[i].clone()).collect()))
}

const SLOT_BYTES: usize = 32;

fn pay(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel((bytes / 64) as u64)
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn list_like(model: &Value, items: Vec<Value>) -> Value {
    if model.is_tuple() {
        Value::from(Tuple::from(items))
    } else {
        Value::from(items)
    }
}

fn collect(state: &State, list: &Value) -> Result<Vec<Value>, Error> {
    let mut items = Vec::new();
    for item in list.try_iter()?.checked() {
        if items.len() % 2 == 0 {
            state.consume_fuel(1)?; // two slots
        }
        items.push(item?);
    }
    Ok(items)
}

fn numbers(
    sign: &str,
    a: &Value,
    b: &Value,
    exact: fn(i128, i128) -> Option<i128>,
    rounded: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    let is_number = |v: &Value| matches!(v.kind(), ValueKind::Number | ValueKind::Bool);
    if !is_number(a) || !is_number(b) {
        return Err(invalid(format!("{sign} does not work on {} and {}", a.kind(), b.kind())));
    }
    let whole = |v: &Value| match v.kind() {
        ValueKind::Bool => Some(i128::from(v.is_true())),
        _ if v.is_integer() => i128::try_from(v.clone()).ok(),
        _ => None,
    };
    if let (Some(x), Some(y)) = (whole(a), whole(b)) {
        let result = exact(x, y).ok_or_else(|| invalid(format!("{sign}: the number is too large")))?;
        return Ok(i64::try_from(result).map_or_else(|_| Value::from(result), Value::from));
    }
    let float = |v: &Value| whole(v).map_or_else(|| f64::try_from(v.clone()), |x| Ok(x as f64));
    Ok(Value::from(rounded(float(a)?, float(b)?)))
}

fn indexes(count: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> Box<dyn Iterator<Item = usize>> {
    let count = count as i64;
    let (low, high) = if step > 0 { (0, count) } else { (-1, count - 1) };
    let place = |bound: Option<i64>, default: i64| {
        bound.map_or(default, |b| if b < 0 { b.saturating_add(count).max(low) } else { b.min(high) })
    };
    let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    if step > 0 {
        let (from, to) = (place(start, 0), place(stop, count));
        return Box::new((from..to).step_by(stride).map(|i| i as usize));
    }
    let (from, to) = (place(start, count - 1), place(stop, -1));
    Box::new(((to + 1)..=from).rev().step_by(stride).map(|i| i as usize))
}

fn substring(text: &str, start: Option<i64>, stop: Option<i64>) -> &str {
    let mut chosen = indexes(text.chars().count(), start, stop, 1);
    let Some(first) = chosen.next() else { return "" };
    let count = chosen.count() + 1;
    let byte_at = |s: &str, index: usize| s.char_indices().nth(index).map_or(s.len(), |(at, _)| at);
    let rest = &text[byte_at(text, first)..];
    &rest[..byte_at(rest, count)]
}
