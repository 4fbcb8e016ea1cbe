# shellcheck shell=sh
# What the benchmarks' scripts share; sourced by them.
say() { printf '== %s\n' "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
# needs_value OPTION [VALUE...]: fails where an option is the last argument.
needs_value() { [ $# -ge 2 ] || fail "$1 needs a value"; }
# configure_benchmarks OPTION...: a Release build in $build of the benchmarks alone, of the optional
# components only those that the options switch on.
configure_benchmarks() {
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DVID2VOX_BUILD_BENCHMARKS=ON \
    -DVID2VOX_BUILD_TESTS=OFF -DVID2VOX_BUILD_EXAMPLES=OFF -DVID2VOX_COMPONENTS=OFF "$@" >/dev/null
}
