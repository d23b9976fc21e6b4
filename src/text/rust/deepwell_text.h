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

// Grammars that an answer must follow. A vocabulary is immutable and may be shared between threads; a grammar
// is one answer's place in it, for one thread at a time. A vocabulary outlives its grammars.
typedef struct dw_grammar_vocabulary dw_grammar_vocabulary;
typedef struct dw_grammar dw_grammar;

typedef struct {
  dw_text_view bytes;
  int32_t control;  // never part of a text; only grammars that name it let it through
} dw_grammar_token;

// Null on failure; then *error says why. `ends`: tokens that end an answer, at least one.
dw_grammar_vocabulary* dw_grammar_vocabulary_make(const dw_grammar_token* tokens, size_t token_count,
                                                  const uint32_t* ends, size_t end_count,
                                                  dw_text_buffer* error);
void dw_grammar_vocabulary_free(dw_grammar_vocabulary* vocabulary);  // null is fine

// kind: 0 JSON Schema, 1 regular expression, 2 Lark. Null on failure; then *error says why.
dw_grammar* dw_grammar_compile(const dw_grammar_vocabulary* vocabulary, int32_t kind, dw_text_view source,
                               dw_text_buffer* error);
// A JSON Schema as %json of a Lark grammar takes it. 1 on success; 0 on failure, then *error says why.
int32_t dw_grammar_schema(dw_text_view schema, dw_text_buffer* prepared, dw_text_buffer* error);
dw_grammar* dw_grammar_copy(const dw_grammar* grammar, dw_text_buffer* error);
void dw_grammar_free(dw_grammar* grammar);  // null is fine

// One bit a token, token t in bit t % 32 of word t / 32. 1 on success; 0 on failure, then *error says why.
int32_t dw_grammar_mask(dw_grammar* grammar, uint32_t* bits, size_t words, dw_text_buffer* error);
int32_t dw_grammar_accept(dw_grammar* grammar, uint32_t token, dw_text_buffer* error);
int32_t dw_grammar_finished(const dw_grammar* grammar);  // nothing may follow
int32_t dw_grammar_may_end(dw_grammar* grammar);         // the text so far is whole

#ifdef __cplusplus
}
#endif
