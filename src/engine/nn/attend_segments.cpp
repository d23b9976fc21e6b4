// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/attend_segments.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace deepwell {
namespace {

constexpr std::int64_t kRowsPerTile = 48;  // more share a page no better
constexpr std::int64_t kRowsLeast = 8;     // fewer read it too often
// What segments that wait to be folded may take, unless one alone takes more.
constexpr std::int64_t kWaitingFloats = std::int64_t{1} << 22;

/// The mean of a row so far, out (width) under softmax, takes up the mean of the entries that follow.
void fold(float* out, float* softmax, const float* next, const float* next_softmax, std::int64_t width) {
  const float highest = std::max(softmax[0], next_softmax[0]);
  const float total = softmax[1] * std::exp(softmax[0] - highest);
  const float next_total = next_softmax[1] * std::exp(next_softmax[0] - highest);
  softmax[0] = highest;
  softmax[1] = total + next_total;
  const float share = total / softmax[1], next_share = next_total / softmax[1];
  for (std::int64_t d = 0; d < width; ++d) out[d] = out[d] * share + next[d] * next_share;
}

/// Query rows [first, first + count) of the tokens, `group` each, of one key/value head.
struct Task {
  const std::int32_t* tokens;  ///< rows of the batch
  std::int64_t first, count, kv_head;
  const SequenceCache* cache;
  std::int64_t segment;
  bool whole;  ///< all segments up to this one are folded by the task; else this one alone is computed
};

/// One attention of a batch, from planning to folding. A sequence's segments are tasks of their own where
/// threads would be idle otherwise, or where others read the same pages; else a tile goes through them all.
class Run {
 public:
  Run(const SegmentedAttention& shape, const float* q, const Batch& batch, const AttendKernel& kernel,
      float* out, Context& context, const std::function<void(const AttendTile&)>& attend)
      : shape_(shape), q_(q), batch_(batch), out_(out), context_(context), attend_(attend) {
    plan();
    auto& scratch = context.scratch;
    const std::int64_t rows = batch.rows() * heads();
    softmax_ = scratch.take<float>(rows * 2);
    works_ = scratch.take<Work>(context.pool.threads());
    for (int i = 0; i < context.pool.threads(); ++i)
      works_[i] = {
          scratch.take<float>(kRowsPerTile * shape.key_width),
          scratch.take<float>(kRowsPerTile * shape.value_width), scratch.take<float>(kRowsPerTile * 2),
          scratch.take<float>(kernel.scratch_floats(kRowsPerTile, shape.key_width, shape.value_width)),
          scratch.take<std::int32_t>(kRowsPerTile)};
  }

  void run() {
    // Segment 0 goes to its place at once; the others of a wave wait to be folded.
    const std::int64_t each = batch_.rows() * heads() * (shape_.value_width + 2);
    const std::int64_t wave =
        split_rows_ == 0 ? segments_ : std::clamp<std::int64_t>(kWaitingFloats / each, 1, segments_);
    waiting_ = context_.scratch.take<float>(split_rows_ > 0 && segments_ > 1 ? wave * each : 0);
    std::int64_t tiles = 0;
    for (const BatchSequence& sequence : batch_.sequences)
      tiles += (sequence.count * shape_.group / kRowsLeast + 1) * shape_.kv_heads;
    tasks_ = context_.scratch.take<Task>(tiles * wave);
    auto* tokens = context_.scratch.take<std::int32_t>(batch_.rows() * wave);
    for (first_ = 0; first_ < segments_; first_ += wave) {
      tokens_ = tokens;
      count_ = 0;
      if (first_ == 0) add_whole();
      const std::int64_t last = std::min(first_ + wave, segments_);
      for (std::int64_t s = first_; s < last; ++s) add_segment(s);
      context_.pool.run(count_,
                        [&](std::int64_t task, int thread) { compute(tasks_[task], works_[thread]); });
      if (split_rows_ > 0 && last > 1) fold_waiting(last);
    }
  }

 private:
  struct Work {
    float *q, *out, *softmax, *scratch;
    std::int32_t* limits;
  };
  struct Member {
    const BatchSequence* sequence;
    bool split, fills;  ///< a tile by itself
  };

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(batch_.sequences.size()); }
  std::int64_t heads() const { return shape_.kv_heads * shape_.group; }
  std::int64_t seen(std::int64_t row) const { return batch_.positions[at(row)] + std::int64_t{1}; }
  std::int64_t segment_of(std::int64_t row) const {
    return batch_.positions[at(row)] / shape_.segment_tokens;
  }
  std::int64_t segment_pages() const { return shape_.segment_tokens / kPageTokens; }
  /// Every row of the sequence sees all of the segment.
  bool covers(const BatchSequence& sequence, std::int64_t segment) const {
    return seen(sequence.first) >= (segment + 1) * shape_.segment_tokens;
  }
  bool same_pages(const BatchSequence& x, const BatchSequence& y, std::int64_t segment) const {
    const auto first = static_cast<std::ptrdiff_t>(segment * segment_pages());
    const auto from = [&](const BatchSequence& s) { return s.cache->pages().begin() + first; };
    return std::equal(from(x), from(x) + segment_pages(), from(y));
  }

  /// Which sequences are split, in an order in which those that share pages are neighbours.
  void plan() {
    members_ = context_.scratch.take<Member>(sequences());
    std::int64_t tiles = 0;
    for (std::int64_t i = 0; i < sequences(); ++i) {
      const BatchSequence& sequence = batch_.sequences[at(i)];
      const std::int64_t rows = sequence.count * shape_.group;
      members_[i] = {&sequence, false, rows >= kRowsPerTile};
      tiles += (rows + kRowsPerTile - 1) / kRowsPerTile * shape_.kv_heads;
      segments_ = std::max(segments_, segment_of(sequence.first + sequence.count - 1) + 1);
    }
    if (segments_ > 1)
      std::sort(members_, members_ + sequences(),
                [&](const Member& x, const Member& y) { return before(x, y); });
    const bool few = tiles < 2 * context_.pool.threads();
    split_ = context_.scratch.take<std::int32_t>(batch_.rows());
    for (std::int64_t i = 0; i < sequences(); ++i) {
      const BatchSequence& sequence = *members_[i].sequence;
      members_[i].split = few || (i > 0 && shares(members_[i - 1], members_[i], 0)) ||
                          (i + 1 < sequences() && shares(members_[i], members_[i + 1], 0));
      if (members_[i].split)
        for (std::int64_t t = 0; t < sequence.count; ++t)
          split_[split_rows_++] = static_cast<std::int32_t>(sequence.first + t);
    }
    // Enough tiles for every thread; of no more rows than that takes.
    const std::int64_t share =
        split_rows_ * heads() * segments_ / (2 * context_.pool.threads() * shape_.kv_heads) + 1;
    rows_each_ = few ? std::clamp(share, kRowsLeast, kRowsPerTile) : kRowsPerTile;
  }
  bool before(const Member& x, const Member& y) const {
    const std::int64_t pages = segment_pages();
    for (std::int64_t s = 0;; ++s) {
      const bool in_x = covers(*x.sequence, s), in_y = covers(*y.sequence, s);
      if (!in_x || !in_y) return in_x != in_y ? in_x : x.sequence < y.sequence;
      const std::int32_t page_x = x.sequence->cache->pages()[at(s * pages)];
      const std::int32_t page_y = y.sequence->cache->pages()[at(s * pages)];
      if (page_x != page_y) return page_x < page_y;
    }
  }
  bool shares(const Member& x, const Member& y, std::int64_t segment) const {
    return !x.fills && !y.fills && covers(*x.sequence, segment) && covers(*y.sequence, segment) &&
           same_pages(*x.sequence, *y.sequence, segment);
  }

  /// Sequences that are not split: the last rows see the most, so they go first.
  void add_whole() {
    for (std::int64_t i = 0; i < sequences(); ++i) {
      if (members_[i].split) continue;
      const BatchSequence& sequence = *members_[i].sequence;
      const std::int32_t* tokens = tokens_;
      for (std::int64_t t = 0; t < sequence.count; ++t)
        *tokens_++ = static_cast<std::int32_t>(sequence.first + t);
      const std::int64_t rows = sequence.count * shape_.group;
      for (std::int64_t first = (rows - 1) / rows_each_ * rows_each_; first >= 0; first -= rows_each_) {
        const std::int64_t count = std::min(rows_each_, rows - first);
        const std::int64_t last = segment_of(tokens[(first + count - 1) / shape_.group]);
        for (std::int64_t h = 0; h < shape_.kv_heads; ++h)
          tasks_[count_++] = {tokens, first, count, h, sequence.cache, last, true};
      }
    }
  }
  /// One segment of the sequences that are split; those that share its pages are one list of tokens.
  void add_segment(std::int64_t segment) {
    for (std::int64_t i = 0, next; i < sequences(); i = next) {
      next = i + 1;
      if (!members_[i].split) continue;
      while (next < sequences() && members_[next].split && shares(members_[i], members_[next], segment))
        ++next;
      const std::int32_t* tokens = tokens_;
      for (std::int64_t m = i; m < next; ++m) {
        const BatchSequence& sequence = *members_[m].sequence;
        for (std::int64_t row = sequence.first; row < sequence.first + sequence.count; ++row)
          if (segment_of(row) >= segment) *tokens_++ = static_cast<std::int32_t>(row);
      }
      const std::int64_t rows = (tokens_ - tokens) * shape_.group;
      for (std::int64_t first = 0; first < rows; first += rows_each_)
        for (std::int64_t h = 0; h < shape_.kv_heads; ++h)
          tasks_[count_++] = {
              tokens,  first, std::min(rows_each_, rows - first), h, members_[i].sequence->cache,
              segment, false};
    }
  }

  void compute(const Task& task, const Work& work) const {
    const std::int64_t width = shape_.key_width, value = shape_.value_width;
    const auto token = [&](std::int64_t r) { return task.tokens[(task.first + r) / shape_.group]; };
    // The row's place in q and out.
    const auto place = [&](std::int64_t r) {
      return token(r) * heads() + task.kv_head * shape_.group + (task.first + r) % shape_.group;
    };
    for (std::int64_t r = 0; r < task.count; ++r)
      std::memcpy(work.q + r * width, q_ + place(r) * width, static_cast<std::size_t>(width) * sizeof(float));
    std::int64_t skip = 0;  // rows before it see nothing of the segment
    for (std::int64_t s = task.whole ? 0 : task.segment; s <= task.segment; ++s) {
      const std::int64_t begin = s * shape_.segment_tokens;
      while (segment_of(token(skip)) < s) ++skip;
      std::int32_t most = 0;
      for (std::int64_t r = skip; r < task.count; ++r) {
        work.limits[r] = static_cast<std::int32_t>(std::min(seen(token(r)) - begin, shape_.segment_tokens));
        most = std::max(most, work.limits[r]);
      }
      attend_({work.q + skip * width, work.limits + skip, static_cast<int>(task.count - skip), task.kv_head,
               task.cache, s * segment_pages(), (most + kPageTokens - 1) / kPageTokens, work.out,
               work.softmax, work.scratch});
      for (std::int64_t r = skip; r < task.count; ++r) {
        const float* mean = work.out + (r - skip) * value;
        const float* softmax = work.softmax + (r - skip) * 2;
        const std::int64_t to = place(r);
        if (task.whole && s > 0) {
          fold(out_ + to * value, softmax_ + to * 2, mean, softmax, value);
          continue;
        }
        std::memcpy(s == 0 ? out_ + to * value : waiting(s, to), mean,
                    static_cast<std::size_t>(value) * sizeof(float));
        std::memcpy(s == 0 ? softmax_ + to * 2 : waiting(s, to) + value, softmax, 2 * sizeof(float));
      }
    }
  }
  /// Where a row's mean over a segment waits, its softmax behind it.
  float* waiting(std::int64_t segment, std::int64_t place) const {
    return waiting_ + ((segment - first_) * batch_.rows() * heads() + place) * (shape_.value_width + 2);
  }
  void fold_waiting(std::int64_t last) const {
    constexpr std::int64_t kEach = 8;
    const std::int64_t rows = split_rows_ * heads(), value = shape_.value_width;
    context_.pool.run((rows + kEach - 1) / kEach, [&](std::int64_t task, int) {
      for (std::int64_t i = task * kEach; i < std::min(rows, (task + 1) * kEach); ++i) {
        const std::int64_t row = split_[i / heads()], place = row * heads() + i % heads();
        const std::int64_t end = std::min(last, segment_of(row) + 1);
        for (std::int64_t s = std::max<std::int64_t>(first_, 1); s < end; ++s)
          fold(out_ + place * value, softmax_ + place * 2, waiting(s, place), waiting(s, place) + value,
               value);
      }
    });
  }

  const SegmentedAttention& shape_;
  const float* q_;
  const Batch& batch_;
  float* out_;
  Context& context_;
  const std::function<void(const AttendTile&)>& attend_;
  Member* members_ = nullptr;
  std::int32_t* split_ = nullptr;  ///< rows of the batch
  std::int64_t segments_ = 1, split_rows_ = 0, rows_each_ = kRowsPerTile;
  std::int64_t first_ = 0;  ///< segment of the wave
  float *softmax_ = nullptr, *waiting_ = nullptr;
  Work* works_ = nullptr;
  Task* tasks_ = nullptr;
  std::int64_t count_ = 0;
  std::int32_t* tokens_ = nullptr;  ///< where the next task's are listed
};

}  // namespace

void SegmentedAttention::attend(const float* q, const Batch& batch, const AttendKernel& kernel, float* out,
                                Context& context,
                                const std::function<void(const AttendTile&)>& attend) const {
  const ScratchScope scope(context.scratch);
  Run(*this, q, batch, kernel, out, context, attend).run();
}

}  // namespace deepwell
