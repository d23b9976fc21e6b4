// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/hyper_connection.h"

#include <algorithm>
#include <cmath>

namespace deepwell {
namespace {

// Elements that are worked on at once, in registers and the nearest cache.
constexpr std::int64_t kPiece = 64;
constexpr int kLanes = 16;

/// 1 / rms of n values. Lanes are summed apart, so that the compiler may take them together.
float inverse_rms(const float* x, std::int64_t n, float eps) {
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += x[i + lane] * x[i + lane];
  double sum = 0;
  for (; i < n; ++i) sum += double{x[i]} * double{x[i]};
  for (const float lane : lanes) sum += double{lane};
  return static_cast<float>(1 / std::sqrt(sum / static_cast<double>(n) + double{eps}));
}

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

/// y (width) = sum of weight[i] * x[i], x (streams, width).
void weigh(const float* x, const float* weights, std::int64_t streams, std::int64_t width, float* y) {
  for (std::int64_t d = 0; d < width; d += kPiece) {
    const std::int64_t end = std::min(width, d + kPiece);
    for (std::int64_t k = d; k < end; ++k) y[k] = weights[0] * x[k];
    for (std::int64_t i = 1; i < streams; ++i)
      for (std::int64_t k = d; k < end; ++k) y[k] += weights[i] * x[i * width + k];
  }
}

/// Divides each row, or each column, by its sum.
void divide_by_sums(float* mix, std::int64_t n, bool rows, float eps) {
  for (std::int64_t a = 0; a < n; ++a) {
    float sum = eps;
    for (std::int64_t b = 0; b < n; ++b) sum += mix[rows ? a * n + b : b * n + a];
    for (std::int64_t b = 0; b < n; ++b) mix[rows ? a * n + b : b * n + a] /= sum;
  }
}

void softmax_rows(float* mix, std::int64_t n) {
  for (std::int64_t a = 0; a < n; ++a) {
    float* row = mix + a * n;
    const float peak = *std::max_element(row, row + n);
    float sum = 0;
    for (std::int64_t b = 0; b < n; ++b) sum += row[b] = std::exp(row[b] - peak);
    for (std::int64_t b = 0; b < n; ++b) row[b] /= sum;
  }
}

/// m (rows, project.rows()) = project x, in floats whatever the context: coefficients steer everything.
void project_rows(const Linear& project, const float* x, std::int64_t rows, float* m, Context& context) {
  Context precise{context.pool, context.scratch, /*exact=*/true};
  Input input(x, rows, project.k(), project.k(), precise);
  multiply(input, {{&project, m, project.rows()}}, precise);
}

}  // namespace

void HyperConnection::collapse(const float* x, std::int64_t rows, float* y, float* coefficients,
                               Context& context, const float* before) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t count = project.rows(), width = project.k() / streams;
  project_rows(project, x, rows, coefficients, context);
  context.pool.run(rows, [&](std::int64_t row, int) {
    float* c = coefficients + row * count;
    const float* from = x + row * streams * width;
    const float inverse = inverse_rms(from, streams * width, norm_eps);
    const auto part = [&](std::int64_t i) {
      return static_cast<std::size_t>(std::min<std::int64_t>(i / streams, 2));
    };
    for (std::int64_t i = 0; i < count; ++i)
      c[i] = c[i] * inverse * scale[part(i)] + base[static_cast<std::size_t>(i)];
    for (std::int64_t i = 0; i < streams; ++i) {
      c[i] = sigmoid(c[i]) + eps;
      c[streams + i] = 2 * sigmoid(c[streams + i]);
    }
    float* mix = c + 2 * streams;  // (from, to)
    softmax_rows(mix, streams);
    for (std::int64_t i = 0; i < streams * streams; ++i) mix[i] += eps;
    divide_by_sums(mix, streams, /*rows=*/false, eps);
    for (int i = 1; i < iterations; ++i) {
      divide_by_sums(mix, streams, /*rows=*/true, eps);
      divide_by_sums(mix, streams, /*rows=*/false, eps);
    }
    weigh(from, before == nullptr ? c : before + row * count, streams, width, y + row * width);
  });
}

void HyperConnection::merge(const float* output, const float* coefficients, std::int64_t rows, float* x,
                            Context& context) const {
  const std::int64_t count = project.rows(), width = project.k() / streams;
  context.pool.run(rows, [&](std::int64_t row, int) {
    const float* post = coefficients + row * count + streams;
    const float* mix = post + streams;
    float* to = x + row * streams * width;
    float old[kMostStreams][kPiece];
    for (std::int64_t d = 0; d < width; d += kPiece) {
      const std::int64_t n = std::min(kPiece, width - d);
      for (std::int64_t i = 0; i < streams; ++i) std::copy_n(to + i * width + d, n, old[i]);
      for (std::int64_t j = 0; j < streams; ++j) {
        float* out = to + j * width + d;
        const float* block = output + row * width + d;
        for (std::int64_t k = 0; k < n; ++k) out[k] = post[j] * block[k];
        for (std::int64_t i = 0; i < streams; ++i)
          for (std::int64_t k = 0; k < n; ++k) out[k] += mix[i * streams + j] * old[i][k];
      }
    }
  });
}

void weigh_streams(const float* x, const float* weights, std::int64_t stride, std::int64_t rows,
                   std::int64_t streams, std::int64_t width, float* y, Context& context) {
  context.pool.run(rows, [&](std::int64_t row, int) {
    weigh(x + row * streams * width, weights + row * stride, streams, width, y + row * width);
  });
}

void HyperHead::collapse(const float* x, std::int64_t rows, float* y, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t width = project.k() / streams;
  float* m = context.scratch.take<float>(rows * streams);  // (rows, streams)
  project_rows(project, x, rows, m, context);
  context.pool.run(rows, [&](std::int64_t row, int) {
    float* weights = m + row * streams;
    const float* from = x + row * streams * width;
    const float inverse = inverse_rms(from, streams * width, norm_eps);
    for (std::int64_t i = 0; i < streams; ++i)
      weights[i] = sigmoid(weights[i] * inverse * scale[0] + base[static_cast<std::size_t>(i)]) + eps;
    weigh(from, weights, streams, width, y + row * width);
  });
}

}  // namespace deepwell
