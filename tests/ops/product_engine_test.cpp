#include "vid2vox/backend/cpu/product_engine.hpp"

#include "support/catch.hpp"
#include "vid2vox/backend/cpu/matrix_product.hpp"

namespace vid2vox::backend::cpu {
namespace {

int calls = 0;

void count_call(Transposed, MatrixView<const float>, MatrixView<const float>, MatrixView<float> c,
                bool) {
  ++calls;
  for (std::size_t i = 0; i < c.rows * c.cols; ++i) c.data[i] = 7;
}

/// Puts the engine of the test run back.
class EngineScope {
 public:
  explicit EngineScope(const ProductEngine* engine) : before_(product_engine()) {
    set_product_engine(engine);
  }
  EngineScope(const EngineScope&) = delete;
  EngineScope& operator=(const EngineScope&) = delete;
  ~EngineScope() { set_product_engine(before_); }

 private:
  const ProductEngine* before_;
};

template <class T>
float product_of_ones() {
  const Buffer<T> a(4, T(1.0F));
  Buffer<T> c(4);
  serial_nn<T, T, T>({a.data(), 2, 2}, {a.data(), 2, 2}, {c.data(), 2, 2}, false);
  return static_cast<float>(c[3]);
}

TEST_CASE("float32 products go to the engine that is set, float64 ones to Eigen") {
  const ProductEngine counting{.name = "counting",
                               .float32 = count_call,
                               .bfloat16_to_float32 = nullptr,
                               .bfloat16 = nullptr};
  const EngineScope scope(&counting);
  CHECK(std::string(product_engine_name()) == "counting");
  calls = 0;
  CHECK(product_of_ones<float>() == 7);
  // An engine without bfloat16 gets widened operands.
  CHECK(product_of_ones<bfloat16>() == 7);
  CHECK(calls == 2);
  CHECK(product_of_ones<double>() == 2);
  CHECK(calls == 2);
  set_product_engine(nullptr);
  CHECK(std::string(product_engine_name()) == "eigen");
  CHECK(product_of_ones<float>() == 2);
  CHECK(calls == 2);
}

TEST_CASE("a product of nothing clears the result, whatever the engine") {
  Buffer<float> c(6, 5.0F);
  serial_nn<float, float, float>({nullptr, 2, 0}, {nullptr, 0, 3}, {c.data(), 2, 3}, false);
  CHECK(std::all_of(c.begin(), c.end(), [](float value) { return value == 0; }));
}

TEST_CASE("scratch memory of a thread nests and is kept") {
  const double* outer_place = nullptr;
  {
    ThreadScratch<double> outer(100);
    ThreadScratch<float> inner(50);
    outer_place = outer.data();
    std::fill_n(outer.data(), outer.size(), 1.0);
    std::fill_n(inner.data(), inner.size(), 2.0F);
    CHECK(std::all_of(outer.data(), outer.data() + outer.size(), [](double v) { return v == 1; }));
  }
  ThreadScratch<double> again(60);
  CHECK(again.data() == outer_place);
  CHECK(reinterpret_cast<std::uintptr_t>(again.data()) % Buffer<double>::kAlignment == 0);
}

}  // namespace
}  // namespace vid2vox::backend::cpu
