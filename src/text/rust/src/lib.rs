// SPDX-License-Identifier: Apache-2.0
//! Chat templates for Deepwell behind a C ABI; `deepwell_text.h` is its contract.
//!
//! Only this file holds unsafe code that touches foreign memory. Every entry point catches panics, so none
//! unwinds into C++.

mod filters;
mod guard;
mod json;
mod methods;
mod operators;
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
    /// The text seen, or why it is not text.
    unsafe fn text<'a>(self, what: &str) -> Result<&'a str, String> {
        if self.size == 0 {
            return Ok("");
        }
        let bytes = std::slice::from_raw_parts(self.data, self.size);
        std::str::from_utf8(bytes).map_err(|e| format!("{what}: not UTF-8 at byte {}", e.valid_up_to()))
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
        Err(panic) => format!("the template engine failed: {}", panic_text(panic.as_ref())),
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
