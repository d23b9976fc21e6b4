// SPDX-License-Identifier: Apache-2.0
//! Chat templates and output grammars for Deepwell behind a C ABI; `deepwell_text.h` is its contract.
//!
//! Only this file holds unsafe code that touches foreign memory. Every entry point catches panics, so none
//! unwinds into C++.

mod filters;
mod grammar;
mod guard;
mod json;
mod methods;
mod operators;
mod schema;
mod strftime;
mod template;

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use template::ChatTemplate;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct View {
    data: *const u8,
    size: usize,
}

#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
}

#[repr(C)]
pub struct Prompt {
    text: Buffer,
    user_ranges: *mut usize,
    user_range_count: usize,
}

impl View {
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data, self.size)
    }

    /// The text seen, or why it is not text.
    unsafe fn text<'a>(self, what: &str) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()).map_err(|e| format!("{what}: not UTF-8 at byte {}", e.valid_up_to()))
    }
}

impl Buffer {
    const EMPTY: Buffer = Buffer { data: std::ptr::null_mut(), size: 0 };

    fn new(text: String) -> Buffer {
        let (data, size) = release(text.into_bytes());
        Buffer { data, size }
    }
}

/// Hands a vector's memory out as (start, count); `reclaim` takes it back.
fn release<T>(items: Vec<T>) -> (*mut T, usize) {
    if items.is_empty() {
        return (std::ptr::null_mut(), 0);
    }
    let items = Box::leak(items.into_boxed_slice());
    (items.as_mut_ptr(), items.len())
}

unsafe fn reclaim<T>(data: *mut T, count: usize) {
    if !data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, count)));
    }
}

/// Runs `work`; a failure or a panic becomes text in `error`.
unsafe fn guarded<T>(error: *mut Buffer, work: impl FnOnce() -> Result<T, String>) -> Option<T> {
    let message = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => return Some(value),
        Ok(Err(message)) => message,
        Err(panic) => format!("internal failure: {}", panic_text(panic.as_ref())),
    };
    error.write(Buffer::new(message));
    None
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

/// # Safety
/// `buffer` comes from this crate and is freed once.
#[no_mangle]
pub unsafe extern "C" fn dw_text_buffer_free(buffer: Buffer) {
    reclaim(buffer.data, buffer.size);
}

/// # Safety
/// The views point at readable memory and `error` at writable memory, as deepwell_text.h says.
#[no_mangle]
pub unsafe extern "C" fn dw_chat_template_compile(
    source: View,
    special_tokens: *const View,
    special_token_count: usize,
    error: *mut Buffer,
) -> *mut ChatTemplate {
    let compiled = guarded(error, || {
        let source = source.text("chat template")?;
        let mut specials = Vec::with_capacity(special_token_count);
        for i in 0..special_token_count {
            // A token that is not text cannot stand in a template's output either.
            if let Ok(text) = (*special_tokens.add(i)).text("special token") {
                specials.push(text.to_owned());
            }
        }
        ChatTemplate::compile(source, specials)
    });
    compiled.map_or(std::ptr::null_mut(), |t| Box::into_raw(Box::new(t)))
}

/// # Safety
/// `chat_template` is null or comes from dw_chat_template_compile and is freed once.
#[no_mangle]
pub unsafe extern "C" fn dw_chat_template_free(chat_template: *mut ChatTemplate) {
    if !chat_template.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(chat_template))));
    }
}

/// # Safety
/// `chat_template` is alive, the view readable, `prompt` and `error` writable.
#[no_mangle]
pub unsafe extern "C" fn dw_chat_template_render(
    chat_template: *const ChatTemplate,
    context_json: View,
    prompt: *mut Prompt,
    error: *mut Buffer,
) -> i32 {
    prompt.write(Prompt { text: Buffer::EMPTY, user_ranges: std::ptr::null_mut(), user_range_count: 0 });
    let rendered = guarded(error, || (*chat_template).render(context_json.text("chat messages")?));
    let Some(rendered) = rendered else { return 0 };
    let flat: Vec<usize> = rendered.user_ranges.iter().flat_map(|r| [r.start, r.end]).collect();
    let (user_ranges, numbers) = release(flat);
    prompt.write(Prompt { text: Buffer::new(rendered.text), user_ranges, user_range_count: numbers / 2 });
    1
}

/// # Safety
/// `prompt` comes from dw_chat_template_render and is freed once.
#[no_mangle]
pub unsafe extern "C" fn dw_chat_prompt_free(prompt: Prompt) {
    reclaim(prompt.text.data, prompt.text.size);
    reclaim(prompt.user_ranges, prompt.user_range_count * 2);
}

#[repr(C)]
pub struct GrammarToken {
    bytes: View,
    control: i32,
}

/// # Safety
/// `tokens` and `ends` point at as many as said, `error` is writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_vocabulary_make(
    tokens: *const GrammarToken,
    token_count: usize,
    ends: *const u32,
    end_count: usize,
    error: *mut Buffer,
) -> *mut grammar::Vocabulary {
    let made = guarded(error, || {
        let seen: Vec<grammar::Token> = (0..token_count)
            .map(|i| {
                let token = &*tokens.add(i);
                grammar::Token { bytes: token.bytes.bytes(), control: token.control != 0 }
            })
            .collect();
        let ends: Vec<u32> = (0..end_count).map(|i| *ends.add(i)).collect();
        grammar::Vocabulary::new(&seen, &ends)
    });
    made.map_or(std::ptr::null_mut(), |v| Box::into_raw(Box::new(v)))
}

/// # Safety
/// `vocabulary` is null or comes from dw_grammar_vocabulary_make and is freed once.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_vocabulary_free(vocabulary: *mut grammar::Vocabulary) {
    if !vocabulary.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(vocabulary))));
    }
}

/// # Safety
/// `vocabulary` is alive, the view readable, `error` writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_compile(
    vocabulary: *const grammar::Vocabulary,
    kind: i32,
    source: View,
    error: *mut Buffer,
) -> *mut grammar::Grammar {
    let compiled = guarded(error, || {
        let kind = match kind {
            0 => grammar::Kind::JsonSchema,
            1 => grammar::Kind::Regex,
            2 => grammar::Kind::Lark,
            _ => return Err("unknown kind of grammar".to_owned()),
        };
        (*vocabulary).compile(kind, source.text("grammar")?)
    });
    compiled.map_or(std::ptr::null_mut(), |g| Box::into_raw(Box::new(g)))
}

/// # Safety
/// The view is readable, `prepared` and `error` are writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_schema(schema: View, prepared: *mut Buffer, error: *mut Buffer) -> i32 {
    prepared.write(Buffer::EMPTY);
    let Some(text) = guarded(error, || Ok(schema::prepared(schema.text("schema")?)?.to_string())) else { return 0 };
    prepared.write(Buffer::new(text));
    1
}

/// # Safety
/// `grammar` is alive, `error` writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_copy(
    grammar: *const grammar::Grammar,
    error: *mut Buffer,
) -> *mut grammar::Grammar {
    let copied = guarded(error, || Ok((*grammar).copy()));
    copied.map_or(std::ptr::null_mut(), |g| Box::into_raw(Box::new(g)))
}

/// # Safety
/// `grammar` is null or comes from here and is freed once.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_free(grammar: *mut grammar::Grammar) {
    if !grammar.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(grammar))));
    }
}

/// # Safety
/// `grammar` is alive and used by nobody else, `bits` has `words` entries, `error` is writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_mask(
    grammar: *mut grammar::Grammar,
    bits: *mut u32,
    words: usize,
    error: *mut Buffer,
) -> i32 {
    if words == 0 {
        return 1;
    }
    let out = std::slice::from_raw_parts_mut(bits, words);
    i32::from(guarded(error, || (*grammar).mask(out)).is_some())
}

/// # Safety
/// `grammar` is alive and used by nobody else, `error` is writable.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_accept(grammar: *mut grammar::Grammar, token: u32, error: *mut Buffer) -> i32 {
    i32::from(guarded(error, || (*grammar).accept(token)).is_some())
}

/// # Safety
/// `grammar` is alive and used by nobody else.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_finished(grammar: *const grammar::Grammar) -> i32 {
    i32::from((*grammar).finished())
}

/// # Safety
/// `grammar` is alive and used by nobody else.
#[no_mangle]
pub unsafe extern "C" fn dw_grammar_may_end(grammar: *mut grammar::Grammar) -> i32 {
    catch_unwind(AssertUnwindSafe(|| i32::from((*grammar).may_end()))).unwrap_or(0)
}
