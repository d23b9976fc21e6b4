// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace deepwell {

/// Asks that pages of [memory, memory + bytes), none of them written yet, come from a node's memory as long
/// as it has some. memory is at the start of a page. Where the system refuses (containers often do), each
/// page comes from the node of the thread that writes it first; false then.
bool place_on_node(void* memory, std::size_t bytes, int node);
/// The same, page by page from each of the nodes in turn.
bool spread_over_nodes(void* memory, std::size_t bytes, std::span<const int> nodes);

}  // namespace deepwell
