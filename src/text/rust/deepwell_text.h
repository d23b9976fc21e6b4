// SPDX-License-Identifier: Apache-2.0
#pragma once

// The C ABI of the Rust crate beside this file. Only src/text may include it.
//
// Strings are UTF-8 with a length and no terminator; bytes that are not UTF-8 give an error. Nothing here
// throws, panics or aborts. Whatever is handed out is freed by the function named with it, and by nothing
// else.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  const uint8_t* data;  // may be null when size is 0
  size_t size;
} dw_text_view;

// Owned by the crate; free with dw_text_buffer_free (a zeroed one is fine).
typedef struct {
  uint8_t* data;
  size_t size;
} dw_text_buffer;
void dw_text_buffer_free(dw_text_buffer buffer);

typedef struct dw_chat_template dw_chat_template;  // immutable; may be shared between threads

// Null on failure; then *error says why.
dw_chat_template* dw_chat_template_compile(dw_text_view source, const dw_text_view* special_tokens,
                                           size_t special_token_count, dw_text_buffer* error);
void dw_chat_template_free(dw_chat_template* chat_template);  // null is fine

// A rendered prompt: its text, and which byte ranges of it users wrote (ascending, disjoint, not empty).
typedef struct {
  dw_text_buffer text;
  size_t* user_ranges;  // begin0, end0, begin1, end1, ...
  size_t user_range_count;
} dw_chat_prompt;
void dw_chat_prompt_free(dw_chat_prompt prompt);

// 1 on success; 0 on failure, then *error says why and *prompt is zeroed.
int32_t dw_chat_template_render(const dw_chat_template* chat_template, dw_text_view context_json,
                                dw_chat_prompt* prompt, dw_text_buffer* error);

#ifdef __cplusplus
}
#endif
