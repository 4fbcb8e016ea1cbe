#!/bin/sh
# cpu_bench_test.sh SOURCE FOLDER CPU_REPORT MEASURE_COMMAND: runs `./run bench`'s script with
# stand-ins for the build, the benchmarks and Python.
set -eu
source=$1
folder=$2
report_tool=$3
measure_tool=$4
rm -rf "$folder"
mkdir -p "$folder/tools" "$folder/tree/benchmarks" "$folder/tree/docs"
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
expect() { # expect TEXT FILE
  grep -qF -- "$1" "$2" || { cat "$2" >&2; fail "no '$1' in $2"; }
}
tool() { # tool NAME: a stand-in that does what standard input says
  { echo '#!/bin/sh'; cat; } >"$folder/tools/$1"
  chmod +x "$folder/tools/$1"
}
cp "$source/benchmarks/cpu_bench" "$source/benchmarks/driver.sh" "$folder/tree/benchmarks/"
cp "$source/docs/performance.md" "$folder/tree/docs/"
bench="$folder/tree/benchmarks/cpu_bench"
build="$folder/tree/build-bench"

# The builds leave programs that take 20 ms (the headers) and 10 ms (oneDNN), with oneDNN only if asked.
tool cmake <<'TEXT'
case "$*" in
  *VID2VOX_ONEDNN=ON*) [ ! -e "$FOLDER/no_onednn" ] || exit 1 ;;
  *--build*)
    mkdir -p build-bench/benchmarks/cpu build-bench/benchmarks/compile_time
    for engine in headers onednn; do
      [ $engine = headers ] || [ ! -e "$FOLDER/no_onednn" ] || continue
      cp "$FOLDER/tools/program" build-bench/benchmarks/cpu/bench_cpu_$engine
    done
    cp "$FOLDER/tools/compiler" build-bench/benchmarks/compile_time/compile_train_study
    ln -sf "$REPORT_TOOL" build-bench/benchmarks/cpu_report
    ln -sf "$MEASURE_TOOL" build-bench/benchmarks/measure_command ;;
esac
TEXT
tool compiler <<'TEXT'
exit 0
TEXT
tool program <<'TEXT'
engine=${0##*_}
time=20
[ "$engine" = headers ] || time=10
names='axial/fp32/a vqvae_train_step/fp32/study_batch1'
for option in "$@"; do
  case "$option" in
    --benchmark_list_tests=true)
      for name in $names; do echo "$name/ours_$engine/process_time/real_time"; done
      exit ;;
    --benchmark_filter=*) filter=${option#--benchmark_filter=} ;;
    --benchmark_out=*) out=${option#--benchmark_out=} ;;
  esac
done
[ -n "${out:-}" ] || exit 0
echo "$engine" >>"$FOLDER/turns"
separator=
{
  echo '{"context": {}, "benchmarks": ['
  for name in $names; do
    echo "$name/ours_$engine" | grep -qE "$filter" || continue
    echo "$separator{\"name\": \"$name/ours_$engine\", \"real_time\": $time, \"time_unit\": \"ms\"}"
    separator=,
  done
  echo ']}'
} >"$out"
TEXT
# Python: PyTorch takes 30 ms for whatever it is asked.
tool python <<'TEXT'
[ "$1" != -c ] || exit 0
echo torch >>"$FOLDER/turns"
[ "${MALLOC_MMAP_MAX_:-}" != 0 ] || echo kept >>"$FOLDER/malloc"
while [ $# -gt 0 ]; do
  [ "$1" != --out ] || out=$2
  shift
done
echo '{"context": {"torch": "9"}, "benchmarks": [
  {"name": "axial/fp32/a/torch", "real_time": 30, "time_unit": "ms"}]}' >"$out"
TEXT
export FOLDER="$folder" REPORT_TOOL="$report_tool" MEASURE_TOOL="$measure_tool"
PATH="$folder/tools:$PATH"
export PATH

if sh "$bench" --fast >"$folder/out" 2>&1; then fail "it took an unknown option"; fi
expect "unknown option '--fast'" "$folder/out"
if sh "$bench" --no-torch nothing_like_it >"$folder/out" 2>&1; then fail "it ran nothing"; fi
expect "no workload matches" "$folder/out"

# A whole run: turns, table, memory, compile time, the file and the document.
sh "$bench" --rounds 2 --docs --python "$folder/tools/python" >"$folder/out" 2>&1 ||
  { cat "$folder/out"; fail "the run failed"; }
expect '| axial a | fp32 | 20.0 ms | - | 10.0 ms | - | torch fp32 | 30.0 ms | 1.50x | 3.00x |' \
  "$folder/out"
expect '- rounds: 2' "$folder/out"
expect '| vqvae_train_step_memory/fp32/study_batch1 | ours_onednn |' "$folder/out"
expect '| train_study.cpp |' "$folder/out"
expect '| axial a |' "$folder/tree/docs/performance.md"
expect '| vqvae_train_step_memory/fp32/study_batch1 | torch_usual |' "$folder/out"
expect 'kept' "$folder/malloc"
ls "$folder"/tree/benchmarks/results/cpu-*.json >/dev/null || fail "no file of results"
order=$(head -n 6 "$folder/turns" | tr '\n' ' ')
[ "$order" = "headers onednn torch headers onednn torch " ] || fail "turns: $order"

# Parts leave the results of the whole alone; a build without oneDNN has one column less.
rm -rf "$folder/tree/benchmarks/results" "$build"
touch "$folder/no_onednn"
sh "$bench" --no-torch axial >"$folder/out" 2>&1 || { cat "$folder/out"; fail "the part failed"; }
expect '| axial a | fp32 | 20.0 ms | - | - | - | - |' "$folder/out"
if ls "$folder"/tree/benchmarks/results/cpu-*.json >/dev/null 2>&1; then fail "a part was kept"; fi
if grep -q vqvae "$folder/out"; then fail "the filter let others through"; fi
echo "the script does what it should"
