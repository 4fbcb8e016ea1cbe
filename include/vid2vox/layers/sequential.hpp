#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "vid2vox/core/buffer.hpp"
#include "vid2vox/layers/layer.hpp"

namespace VID2VOX {

/// A string as template argument.
template <std::size_t N>
struct FixedString {
  char text[N] = {};
  // NOLINTNEXTLINE(google-explicit-constructor): made from a literal in a template argument
  constexpr FixedString(const char (&literal)[N]) { std::copy_n(literal, N, text); }
  [[nodiscard]] std::string str() const { return {text, N - 1}; }
};

/// A child of Sequential whose tensors are named `Name` instead of the child's index. An empty name
/// adds nothing to the prefix.
template <FixedString Name, class TheLayer>
struct Named : TheLayer {
  static constexpr bool kIsNamed = true;
  static std::string child_name() { return Name.str(); }
};

namespace internal {

template <std::size_t I, class L>
struct Indexed {
  using type = L;
};
template <class Indices, class... Layers>
struct IndexedPack;
template <std::size_t... I, class... Layers>
struct IndexedPack<std::index_sequence<I...>, Layers...> : Indexed<I, Layers>... {};
template <std::size_t I, class L>
Indexed<I, L> select_layer(const Indexed<I, L>&);

/// The i-th of a list of types, found by base-class conversion: cheap to compile.
template <std::size_t I, class... Layers>
using LayerAt = typename decltype(select_layer<I>(
    IndexedPack<std::index_sequence_for<Layers...>, Layers...>{}))::type;

/// Modules of PyTorch that a layer stands for.
template <class L>
constexpr std::size_t module_count() {
  if constexpr (requires { L::kModules; }) {
    return L::kModules;
  } else {
    return 1;
  }
}

/// Whether a layer may write its output over its input, since its backward pass does with the
/// output what it would do with the input.
template <class L>
constexpr bool works_in_place() {
  if constexpr (requires { L::kInPlace; }) {
    return L::kInPlace;
  } else {
    return false;
  }
}

template <class L>
std::string child_name(std::size_t index) {
  if constexpr (requires { L::kIsNamed; }) {
    return L::child_name();
  } else {
    return std::to_string(index);
  }
}

}  // namespace internal

/// Layers one after the other. Tensors of a child are named "<prefix>.i. ..." as in PyTorch's
/// Sequential, i being the number of modules before it (a norm with its ReLU counts as two), or as
/// `Named` says. Saved: what each child saves, and every activation between two children; a child
/// between others that works in place (ReLU) has its output, and the gradient of its input, where
/// its input and the gradient of its output were.
template <class First, class... Rest>
class Sequential {
  static constexpr std::size_t kCount = 1 + sizeof...(Rest);
  template <std::size_t I>
  using Child = internal::LayerAt<I, First, Rest...>;
  using Indices = std::make_index_sequence<kCount>;

 public:
  using policy = typename First::policy;
  using T = Scalar<policy>;
  using A = AccumulateOf<T>;
  static constexpr std::size_t parameter_count =
      First::parameter_count + (std::size_t{0} + ... + Rest::parameter_count);
  static constexpr std::size_t buffer_count =
      First::buffer_count + (std::size_t{0} + ... + Rest::buffer_count);

  template <SampleShape S>
  static constexpr SampleShape output_shape() {
    return shape_after<S, kCount>();
  }
  template <SampleShape S>
  static constexpr std::size_t saved_count(std::size_t batch) {
    return layout<S>(batch, Indices{}).total;
  }
  template <SampleShape S>
  static constexpr std::size_t scratch_count(std::size_t batch) {
    return scratch_of_children<S>(batch, Indices{}) + 2 * gradient_count<S>(batch, Indices{});
  }

  template <SampleShape S>
  static void forward(Context<T>& context, const State<T>& state, const T* x, T* y, T* saved) {
    const Layout places = layout<S>(context.batch, Indices{});
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (Child<I>::template forward<shape_after<S, I>()>(
           context, state.at(parameter_offset<I>(), buffer_offset<I>()),
           I == 0 ? x : saved + places.input[I], I + 1 == kCount ? y : saved + places.input[I + 1],
           saved + places.saved[I]),
       ...);
    }
    (Indices{});
  }

  template <SampleShape S>
  static void backward(Context<T>& context, const State<T>& state, const T* x, const T* saved,
                       const T* dy, T* dx, A* gradients) {
    const typename Workspace<T>::Mark mark(context.scratch);
    const Layout places = layout<S>(context.batch, Indices{});
    const std::size_t largest = gradient_count<S>(context.batch, Indices{});
    T* even = context.scratch.take(largest);
    T* odd = context.scratch.take(largest);
    const auto gradient_of_input = [&](std::size_t i) { return places.slot[i] == 0 ? even : odd; };
    [&]<std::size_t... J>(std::index_sequence<J...>) {
      (
          [&] {
            constexpr std::size_t I = kCount - 1 - J;
            Child<I>::template backward<shape_after<S, I>()>(
                context, state.at(parameter_offset<I>(), buffer_offset<I>()),
                I == 0 ? x : saved + places.input[I], saved + places.saved[I],
                I + 1 == kCount ? dy : gradient_of_input(I + 1), I == 0 ? dx : gradient_of_input(I),
                gradients + parameter_offset<I>());
          }(),
          ...);
    }
    (Indices{});
  }

  template <class Visitor>
  static void visit_tensors(const Scope& scope, const Visitor& visit) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (Child<I>::visit_tensors(scope.child(internal::child_name<Child<I>>(module_offset<I>()),
                                           parameter_offset<I>(), buffer_offset<I>()),
                               visit),
       ...);
    }
    (Indices{});
  }

 private:
  /// Offsets into `saved`: what child I saves, and the input of child I (for I > 0); and which of
  /// two arrays holds the gradient of that input.
  struct Layout {
    std::array<std::size_t, kCount> saved{};
    std::array<std::size_t, kCount> input{};
    std::array<std::size_t, kCount> slot{};
    std::size_t total = 0;
  };

  template <SampleShape S, std::size_t I>
  static constexpr SampleShape shape_after() {
    if constexpr (I == 0) {
      return S;
    } else {
      constexpr SampleShape kBefore = shape_after<S, I - 1>();
      return Child<I - 1>::template output_shape<kBefore>();
    }
  }
  template <std::size_t I>
  static constexpr std::size_t module_offset() {
    return []<std::size_t... J>(std::index_sequence<J...>) {
      return (std::size_t{0} + ... + internal::module_count<Child<J>>());
    }
    (std::make_index_sequence<I>{});
  }
  /// Whether child I's input is what child I - 1 gave, written over by it.
  template <std::size_t I>
  static constexpr bool follows_in_place() {
    if constexpr (I < 2) {
      return false;  // the Sequential's own input belongs to the caller
    } else {
      return internal::works_in_place<Child<I - 1>>();
    }
  }
  template <std::size_t I>
  static constexpr std::size_t parameter_offset() {
    return []<std::size_t... J>(std::index_sequence<J...>) {
      return (std::size_t{0} + ... + Child<J>::parameter_count);
    }
    (std::make_index_sequence<I>{});
  }
  template <std::size_t I>
  static constexpr std::size_t buffer_offset() {
    return []<std::size_t... J>(std::index_sequence<J...>) {
      return (std::size_t{0} + ... + Child<J>::buffer_count);
    }
    (std::make_index_sequence<I>{});
  }
  template <SampleShape S, std::size_t... I>
  static constexpr Layout layout(std::size_t batch, std::index_sequence<I...>) {
    Layout places;
    (
        [&] {
          if constexpr (follows_in_place<I>()) {
            places.input[I] = places.input[I - 1];
            places.slot[I] = places.slot[I - 1];
          } else if constexpr (I > 0) {
            places.input[I] = places.total;
            places.slot[I] = 1 - places.slot[I - 1];
            places.total += aligned_count(batch * shape_after<S, I>().size());
          }
          places.saved[I] = places.total;
          places.total += aligned_count(Child<I>::template saved_count<shape_after<S, I>()>(batch));
        }(),
        ...);
    return places;
  }
  /// Size of the largest activation between two children.
  template <SampleShape S, std::size_t... I>
  static constexpr std::size_t gradient_count(std::size_t batch, std::index_sequence<I...>) {
    return aligned_count(
        std::max({(I == 0 ? std::size_t{0} : batch * shape_after<S, I>().size())...}));
  }
  template <SampleShape S, std::size_t... I>
  static constexpr std::size_t scratch_of_children(std::size_t batch, std::index_sequence<I...>) {
    return std::max({Child<I>::template scratch_count<shape_after<S, I>()>(batch)...});
  }
};

/// Layers that belong together in a longer Sequential.
template <class... Layers>
struct LayerGroup {};

namespace internal {
template <class... Groups>
struct JoinGroups;
template <class... Layers>
struct JoinGroups<LayerGroup<Layers...>> {
  using type = Sequential<Layers...>;
};
template <class... A, class... B, class... Rest>
struct JoinGroups<LayerGroup<A...>, LayerGroup<B...>, Rest...>
    : JoinGroups<LayerGroup<A..., B...>, Rest...> {};
}  // namespace internal

/// One Sequential of all the groups' layers.
template <class... Groups>
using SequentialOf = typename internal::JoinGroups<Groups...>::type;

}  // namespace VID2VOX
