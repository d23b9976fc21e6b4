// SPDX-License-Identifier: Apache-2.0
// Any bytes as the config.json of a checkpoint whose tensors are a tiny model's: an error in one line, or a
// directory all of whose rows can be made.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"

namespace {

std::string folder() {
  static const std::string made = [] {
    char name[] = "/tmp/deepwell-fuzz-XXXXXX";
    const std::string path = ::mkdtemp(name);
    std::string header = "{", separator;
    std::size_t at = 0;
    const auto add = [&](const std::string& tensor, const std::string& type, const std::string& shape,
                         std::size_t bytes) {
      header += separator + "\"" + tensor + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
                ",\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
      separator = ",";
      at += bytes;
    };
    add("model.embed_tokens.weight", "F16", "[4,32]", 256);
    add("model.norm.weight", "F32", "[32]", 128);
    for (const char* part : {"input_layernorm", "post_attention_layernorm", "self_attn.kv_a_layernorm"})
      add(std::string("model.layers.0.") + part + ".weight", "F32", "[32]", 128);
    for (const char* part :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
          "self_attn.kv_b_proj", "self_attn.kv_a_proj_with_mqa", "mlp.up_proj", "mlp.gate_proj"})
      add(std::string("model.layers.0.") + part + ".weight", "F16", "[32,32]", 2048);
    add("model.layers.0.mlp.down_proj.weight", "F8_E4M3", "[32,32]", 1024);
    add("model.layers.0.mlp.down_proj.weight_scale_inv", "F32", "[1,1]", 4);
    header += "}";
    const std::uint64_t size = header.size();
    std::ofstream out(path + "/model.safetensors", std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), 8);
    out << header << std::string(at, '\1');
    return path;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  std::ofstream(folder() + "/config.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto file = open_checkpoint(folder());
  if (!file.ok()) {
    DW_CHECK(file.error().message.find('\n') == std::string::npos);
    return 0;
  }
  unsigned sum = 0;
  for (const FileTensor& tensor : (*file)->tensors()) {
    std::vector<std::byte> memory(static_cast<std::size_t>(tensor.row_bytes()));
    const TensorRows rows = tensor.data();
    for (std::int64_t i = 0; i < tensor.rows(); ++i)
      sum += std::to_integer<unsigned>(rows.at(i, tensor.row_bytes(), memory.data())[tensor.row_bytes() - 1]);
  }
  // Kept from being optimized away.
  return sum == 0xFFFFFFFF ? -1 : 0;
}
