#include "encoding/ridge/ridge_instances.hpp"

namespace VID2VOX::encoding {

template class RidgeModel<float>;
template class RidgeModel<double>;
template RidgeModel<float> internal::fit_checked(RowMatrix<float>&&, bool,
                                                 const TargetSource<float>&,
                                                 std::span<const std::size_t>, const RidgeOptions&);
template RidgeModel<double> internal::fit_checked(RowMatrix<double>&&, bool,
                                                  const TargetSource<double>&,
                                                  std::span<const std::size_t>,
                                                  const RidgeOptions&);

}  // namespace VID2VOX::encoding
