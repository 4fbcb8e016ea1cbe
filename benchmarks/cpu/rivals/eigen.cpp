#include "rivals/eigen.hpp"

#include <Eigen/Core>

namespace vid2vox::bench::rivals {

std::string eigen_version() {
  return std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) + "." +
         std::to_string(EIGEN_MINOR_VERSION) + ", " + Eigen::SimdInstructionSetsInUse();
}

std::function<void()> eigen_product(std::size_t m, std::size_t k, std::size_t n, const float* a,
                                    const float* b, float* c) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto rows = static_cast<Eigen::Index>(m);
  const auto terms = static_cast<Eigen::Index>(k);
  const auto cols = static_cast<Eigen::Index>(n);
  return [=] {
    Eigen::Map<Matrix>(c, rows, cols).noalias() =
        Eigen::Map<const Matrix>(a, rows, terms) * Eigen::Map<const Matrix>(b, terms, cols);
  };
}

}  // namespace vid2vox::bench::rivals
