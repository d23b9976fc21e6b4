# SPDX-License-Identifier: Apache-2.0
# One line a fuzzer: dw_fuzzer(PATH DEPENDS what it links).
dw_fuzzer(formats/gguf DEPENDS engine/formats)
dw_fuzzer(checkpoint/safetensors DEPENDS engine/checkpoint)
dw_fuzzer(checkpoint/directory DEPENDS engine/checkpoint)
dw_fuzzer(text/chat_template DEPENDS text/chat)
dw_fuzzer(text/reply_parser DEPENDS text/reply)
dw_fuzzer(text/grammar DEPENDS text/grammar)
dw_fuzzer(text/tokenizer_json DEPENDS text/tokenizer)
dw_fuzzer(net/multipart DEPENDS net/http)
dw_fuzzer(server/chat_request DEPENDS server/request)
dw_fuzzer(server/chat_change DEPENDS server/request)
dw_fuzzer(server/api_keys DEPENDS server/access)
dw_fuzzer(engine/load_model DEPENDS engine/run)
