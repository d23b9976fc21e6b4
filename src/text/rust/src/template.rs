// SPDX-License-Identifier: Apache-2.0
//! A chat template: minijinja set up as Hugging Face sets up Jinja2, with limits.

use crate::guard::{self, Guard, Marking};
use crate::{filters, json, methods, operators, panic_text, strftime};
use minijinja::machinery::{self, CompiledTemplate, Instruction, Instructions, TemplateConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The render's mark, for filters that would escape it.
pub const MARK_VARIABLE: &str = "__deepwell_mark";

const NAME: &str = "chat";
const SOURCE_BYTES_MAX: usize = 1 << 20;
const OUTPUT_BYTES_MAX: usize = 16 << 20;
const STEPS_MAX: u64 = 5_000_000; // also bounds memory: the engine charges one step for 64 bytes
const RECURSION_MAX: usize = 200;
/// A template may nest a list a step deeper with every step, and freeing it recurses as deep; only pages
/// touched are committed. A quarter of this is enough for the deepest nest that the steps allow.
const STACK_BYTES: usize = 512 << 20;

pub struct ChatTemplate {
    environment: Environment<'static>,
    guard: Guard,
    source: String,
}

pub struct Rendered {
    pub text: String,
    pub user_ranges: Vec<Range<usize>>,
}

impl ChatTemplate {
    pub fn compile(source: &str, special_texts: Vec<String>) -> Result<ChatTemplate, String> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(format!("the chat template is larger than {SOURCE_BYTES_MAX} bytes"));
        }
        let lines = source.replace("\r\n", "\n").replace('\r', "\n"); // as Jinja2 reads them
        let template = ChatTemplate {
            environment: hugging_face_environment(),
            guard: Guard::new(special_texts)?,
            source: without_generation_tags(&lines),
        };
        template.instructions()?;
        Ok(template)
    }

    /// The template as byte code that calls the operators which are paid for. It borrows the source, so it
    /// is made for each render; that takes a fraction of a millisecond.
    fn instructions(&self) -> Result<Instructions<'_>, String> {
        let config = TemplateConfig { syntax_config: syntax()?, default_auto_escape: Arc::new(|_| AutoEscape::None) };
        let compiled = CompiledTemplate::new(NAME, &self.source, &config).map_err(|e| explain(&e))?;
        let mut instructions = compiled.instructions;
        for i in 0.. {
            let Some(instruction) = instructions.get_mut(i) else { break };
            match instruction {
                Instruction::Add => *instruction = Instruction::CallFunction(operators::ADD, Some(2)),
                Instruction::Mul => *instruction = Instruction::CallFunction(operators::MULTIPLY, Some(2)),
                Instruction::Slice => *instruction = Instruction::CallFunction(operators::SLICE, Some(4)),
                _ => {}
            }
        }
        Ok(instructions)
    }

    pub fn render(&self, context_json: &str) -> Result<Rendered, String> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("chat-template".to_owned()).stack_size(STACK_BYTES);
            let work = thread.spawn_scoped(scope, || self.render_here(context_json));
            let work = work.map_err(|e| format!("no thread to render the chat template on: {e}"))?;
            work.join().unwrap_or_else(|p| Err(format!("the template engine failed: {}", panic_text(p.as_ref()))))
        })
    }

    fn render_here(&self, context_json: &str) -> Result<Rendered, String> {
        let context: serde_json::Value =
            serde_json::from_str(context_json).map_err(|e| format!("chat messages: not valid JSON: {e}"))?;
        let serde_json::Value::Object(context) = context else {
            return Err("chat messages: an object was expected".to_owned());
        };
        let mut texts = vec![self.source.as_str()];
        texts.extend(self.guard.special_texts().iter().map(String::as_str));
        context.iter().for_each(|(key, value)| collect_texts(key, value, &mut texts));
        let mark = guard::unused_character(texts.into_iter())?;
        let marking = Marking { mark, assistant: false };
        let entries = context.iter().map(|(key, value)| {
            // bos_token and its like are the template's own words; all other strings came from outside.
            let trusted = key.ends_with("_token");
            (key.clone(), if trusted { plain(value) } else { self.marked(value, marking) })
        });
        let values = Value::from_pairs(entries.chain([(MARK_VARIABLE.to_owned(), Value::from(mark.to_string()))]));
        let instructions = self.instructions()?;
        let mut rendered = String::new();
        let mut out = machinery::make_string_output(&mut rendered);
        let done =
            machinery::eval(&self.environment, &instructions, values, &BTreeMap::new(), &mut out, AutoEscape::None)
                .map(drop)
                .map_err(|e| explain(&e));
        drop(out);
        done?;
        if rendered.len() > OUTPUT_BYTES_MAX {
            return Err(format!("the rendered prompt is larger than {} MiB; shorten it", OUTPUT_BYTES_MAX >> 20));
        }
        let (text, user_ranges) = self.guard.unmark(rendered, mark);
        Ok(Rendered { text, user_ranges })
    }

    fn marked(&self, value: &serde_json::Value, marking: Marking) -> Value {
        match value {
            serde_json::Value::String(text) => Value::from(self.guard.mark(text, marking)),
            serde_json::Value::Array(items) => items.iter().map(|item| self.marked(item, marking)).collect(),
            serde_json::Value::Object(fields) => {
                let role = fields.get("role").and_then(|r| r.as_str());
                let assistant = marking.assistant || role == Some("assistant");
                let marking = Marking { assistant, ..marking };
                let entry = |(key, value): (&String, &serde_json::Value)| {
                    let value = match value.as_str() {
                        Some(text) if key == "role" => Value::from(self.guard.mark_role(text, marking)),
                        _ => self.marked(value, marking),
                    };
                    (self.guard.mark(key, marking), value)
                };
                Value::from_pairs(fields.iter().map(entry))
            }
            other => plain(other),
        }
    }
}

fn plain(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(b) => Value::from(*b),
        serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::from(i),
            (_, Some(u)) => Value::from(u),
            _ => Value::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(s) => Value::from(s.as_str()),
        serde_json::Value::Array(items) => items.iter().map(plain).collect(),
        serde_json::Value::Object(fields) => Value::from_pairs(fields.iter().map(|(k, v)| (k.clone(), plain(v)))),
    }
}

fn collect_texts<'a>(key: &'a str, value: &'a serde_json::Value, texts: &mut Vec<&'a str>) {
    texts.push(key);
    match value {
        serde_json::Value::String(s) => texts.push(s),
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_texts("", item, texts)),
        serde_json::Value::Object(fields) => fields.iter().for_each(|(k, v)| collect_texts(k, v, texts)),
        _ => {}
    }
}

/// What transformers does: ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
/// extensions=[loopcontrols]), with tojson, raise_exception and strftime_now.
fn hugging_face_environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_unknown_method_callback(methods::call);
    // Not in Jinja2 (but for pprint), and their results are not paid for before they are made.
    for filter in ["split", "lines", "chain", "zip", "pprint"] {
        environment.remove_filter(filter);
    }
    environment.remove_global("debug");
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("int", filters::int);
    environment.add_filter("float", filters::float);
    environment.add_filter("trim", methods::trim);
    environment.add_test("sequence", |v: &Value| {
        v.is_undefined() || matches!(v.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String)
    });
    environment.add_test("iterable", |v: &Value| v.kind() == ValueKind::String || v.try_iter().is_ok());
    environment.add_function("cycler", minijinja_contrib::globals::cycler);
    environment.add_function("joiner", minijinja_contrib::globals::joiner);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Refusal(message)))
    });
    environment.add_function("strftime_now", |format: String| {
        strftime::now(&format).map_err(|e| Error::new(ErrorKind::InvalidOperation, e))
    });
    environment.add_function(operators::ADD, operators::add);
    environment.add_function(operators::MULTIPLY, operators::multiply);
    environment.add_function(operators::SLICE, operators::slice);
    environment
}

fn syntax() -> Result<SyntaxConfig, String> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| e.to_string())
}

/// What a template said to raise_exception: for the person who wrote the messages, so it is shown alone.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn explain(error: &Error) -> String {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(Refusal(message)) = current.downcast_ref::<Refusal>() {
            return format!("the chat template refuses these messages: {message}");
        }
        cause = current.source();
    }
    let place = error.line().map_or(String::new(), |line| format!(" line {line}"));
    let what = match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {STEPS_MAX} steps or too much memory"),
        kind => error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    format!("chat template{place}: {what}")
}

/// Training code marks the assistant's words with {% generation %}; for a prompt it is only a scope.
/// Blanks and line breaks inside the tag stay, so that lines keep their numbers.
fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        rest = tag;
        let inner = tag.trim_start_matches(['-', '+']).trim_start();
        for (word, instead) in [("generation", "with"), ("endgeneration", "endwith")] {
            let Some(after) = inner.strip_prefix(word) else { continue };
            if after.trim_start().trim_start_matches(['-', '+']).starts_with("%}") {
                out.push_str(&tag[..tag.len() - inner.len()]);
                out.push_str(instead);
                rest = after;
                break;
            }
        }
    }
    out + rest
}
