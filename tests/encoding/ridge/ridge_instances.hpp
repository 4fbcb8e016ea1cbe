#pragma once

#include "vid2vox/encoding/ridge/ridge.hpp"

// The ridge is compiled once for all of its tests (ridge_instances.cpp): each would take half a
// minute of the compiler.

namespace VID2VOX::encoding {

extern template class RidgeModel<float>;
extern template class RidgeModel<double>;
extern template RidgeModel<float> internal::fit_checked(RowMatrix<float>&&, bool,
                                                        const TargetSource<float>&,
                                                        std::span<const std::size_t>,
                                                        const RidgeOptions&);
extern template RidgeModel<double> internal::fit_checked(RowMatrix<double>&&, bool,
                                                         const TargetSource<double>&,
                                                         std::span<const std::size_t>,
                                                         const RidgeOptions&);

}  // namespace VID2VOX::encoding
