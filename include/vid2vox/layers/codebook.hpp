#pragma once

#include <cstdint>
#include <vector>

#include "vid2vox/layers/layer.hpp"
#include "vid2vox/ops/codebook.hpp"

namespace VID2VOX {

/// A codebook [Codes, Dim] of A, on the device: what a GPT takes, so that a codebook of another
/// size does not compile.
template <std::size_t Codes, std::size_t Dim, class A>
struct CodebookRows {
  explicit constexpr CodebookRows(const A* rows) : data(rows) {}
  const A* data;
};

/// VideoGPT's Codebook: nearest code by squared distance; codes follow the batch by exponential
/// moving averages (van den Oord et al. 2017, appendix A.1; decay 0.99), no parameters. Buffers: N
/// [Codes], z_avg [Codes, Dim], embeddings [Codes, Dim]. N all zero means that no batch has been
/// seen.
template <int Codes, int Dim, class ThePolicy>
class Codebook {
 public:
  using policy = ThePolicy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  using device = typename policy::device;
  static constexpr std::size_t kCodes = Codes;
  static constexpr std::size_t kDim = Dim;
  static constexpr std::size_t parameter_count = 0;
  static constexpr std::size_t kAverage = kCodes;
  static constexpr std::size_t kEmbeddings = kCodes + kCodes * kDim;
  static constexpr std::size_t buffer_count = kEmbeddings + kCodes * kDim;

  static const A* embeddings(const A* buffers) { return buffers + kEmbeddings; }
  static CodebookRows<kCodes, kDim, A> rows(const A* buffers) {
    return CodebookRows<kCodes, kDim, A>(embeddings(buffers));
  }

  /// index: [rows], the nearest code of z [rows, Dim].
  static void nearest(const A* buffers, std::size_t rows, const A* z, std::int32_t* index) {
    Operations::nearest(rows, kDim, kCodes, z, embeddings(buffers), index);
  }
  /// e: [rows, Dim], the embeddings of codes, as T or as A.
  template <class Out>
  static void gather(const A* buffers, std::size_t rows, const std::int32_t* index, Out* e) {
    Operations::gather(rows, kDim, index, embeddings(buffers), e);
  }

  /// Before the first training batch: every code starts as a row of it, with N = 1. Afterwards
  /// nothing.
  static void initialize_once(const Context<T>& context, A* buffers, std::size_t rows, const A* z) {
    Operations::start(rows, kDim, kCodes, z, buffers, buffers + kAverage, buffers + kEmbeddings,
                      draw_key(context));
  }

  /// Moves the averages and the codes by one batch. Codes with N < 1 restart from drawn rows.
  static void update(const Context<T>& context, A* buffers, std::size_t rows, const A* z,
                     const std::int32_t* index) {
    Operations::update(rows, kDim, kCodes, index, z, buffers, buffers + kAverage,
                       buffers + kEmbeddings, draw_key(context));
  }

  /// exp(entropy) of how often each code was used; on the host.
  static double perplexity_of_counts(const std::vector<double>& counts) {
    return ops::perplexity_of_counts(counts);
  }
  /// *out = the perplexity of codes [rows].
  static void perplexity(std::size_t rows, const std::int32_t* index, double* out) {
    Operations::perplexity(rows, kCodes, index, out);
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    visit(dense_buffer(scope.name("N"), {kCodes}, scope.buffer_offset, Initializer::zeros()));
    visit(dense_buffer(scope.name("z_avg"), {kCodes, kDim}, scope.buffer_offset + kAverage,
                       Initializer::zeros()));
    visit(dense_buffer(scope.name("embeddings"), {kCodes, kDim}, scope.buffer_offset + kEmbeddings,
                       Initializer::normal(1)));
  }

 private:
  using Operations = ops::Codebook<device>;

  static RandomKey draw_key(const Context<T>& context) {
    return context.key(stream_of("codebook"));
  }
};

}  // namespace VID2VOX
