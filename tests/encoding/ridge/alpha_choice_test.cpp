#include "vid2vox/encoding/ridge/alpha_choice.hpp"

#include <cmath>

#include "support/catch.hpp"

namespace {

using namespace vid2vox::encoding;

/// 3 alphas, 4 targets: the sums of scores over 2, 1, 0 and 2 folds.
struct Case {
  RowMatrix<double> sums{3, 4};
  Eigen::RowVectorXd folds{4};
  std::vector<TargetFlag> flags{TargetFlag::kFitted, TargetFlag::kFitted, TargetFlag::kFitted,
                                TargetFlag::kConstant};
  Case() {
    sums << 0.2, 0.9, 0, 100,  //
        0.8, 0.9, 0, 0,        //
        0.6, 0.1, 0, 0;
    folds << 2, 1, 0, 2;
  }
  [[nodiscard]] ChosenAlphas choose(AlphaChoice choice) const {
    return choose_alphas(sums, folds, flags, choice);
  }
};

}  // namespace

TEST_CASE("each target chooses its best alpha, and the larger of two that are as good") {
  const ChosenAlphas chosen = Case().choose(AlphaChoice::kPerTarget);
  CHECK(chosen.index[0] == 1);
  CHECK(chosen.score[0] == Approx(0.4));  // the mean over 2 folds
  CHECK(chosen.index[1] == 1);            // a tie with the alpha below
  CHECK(chosen.score[1] == Approx(0.9));
  CHECK(chosen.index[2] == 2);  // varies in no fold
  CHECK(std::isnan(chosen.score[2]));
}

TEST_CASE("one alpha for all has the best mean over the fitted targets") {
  const ChosenAlphas chosen = Case().choose(AlphaChoice::kGlobal);
  CHECK(chosen.index == std::vector<std::size_t>{1, 1, 1, 1});  // 1.3, against 1.0 and 0.4
  CHECK(chosen.score[0] == Approx(0.4));
  Case all;
  all.flags[3] = TargetFlag::kFitted;
  CHECK(all.choose(AlphaChoice::kGlobal).index[0] == 0);
}
