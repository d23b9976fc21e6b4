// SPDX-License-Identifier: Apache-2.0
//! Jinja2's filters where minijinja's differ: what cannot be converted becomes the default, not an error.

use minijinja::value::ValueKind;
use minijinja::Value;

pub fn int(value: &Value, default: Option<Value>) -> Value {
    let default = || default.clone().unwrap_or_else(|| Value::from(0));
    match value.kind() {
        ValueKind::Bool => Value::from(i64::from(value.is_true())),
        ValueKind::Number if value.is_integer() => value.clone(),
        ValueKind::Number => {
            f64::try_from(value.clone()).map_or_else(|_| default(), |x| whole(x).unwrap_or_else(default))
        }
        ValueKind::String => {
            let text = value.as_str().unwrap_or("").trim();
            let number = text.parse::<i64>().map(Value::from).ok();
            number.or_else(|| whole(text.parse().ok()?)).unwrap_or_else(default)
        }
        _ => default(),
    }
}

pub fn float(value: &Value, default: Option<Value>) -> Value {
    let number = match value.kind() {
        ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        ValueKind::Number => f64::try_from(value.clone()).ok(),
        ValueKind::String => value.as_str().and_then(|text| text.trim().parse().ok()),
        _ => None,
    };
    number.map_or_else(|| default.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

/// A float cut to an integer, where there is one.
fn whole(x: f64) -> Option<Value> {
    (x.abs() < 9e18).then(|| Value::from(x.trunc() as i64))
}
