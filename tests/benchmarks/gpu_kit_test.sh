#!/bin/sh
# gpu_kit_test.sh SOURCE FOLDER: runs the GPU run kit with stand-ins for the tools of a GPU machine.
set -eu
source=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder/tools" "$folder/empty" "$folder/tree/benchmarks"
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
expect() { # expect TEXT FILE
  grep -q -- "$1" "$2" || { cat "$2" >&2; fail "no '$1' in $2"; }
}
tool() { # tool NAME: a stand-in that does what standard input says
  { echo '#!/bin/sh'; cat; } >"$folder/tools/$1"
  chmod +x "$folder/tools/$1"
}
cp -r "$source/benchmarks/gpu_kit" "$source/benchmarks/report" "$folder/tree/benchmarks/"
kit="$folder/tree/benchmarks/gpu_kit"

# Without a GPU: at once, with the reason.
tool nvidia-smi <<'TEXT'
echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver"
exit 9
TEXT
PATH="$folder/tools:$PATH"
export PATH
if sh "$kit" >"$folder/out" 2>&1; then fail "it ran without a GPU"; fi
expect 'no NVIDIA GPU here' "$folder/out"
[ ! -e "$folder/tree/build-gpu" ] || fail "it left something behind"
if sh "$kit" --only tests >"$folder/out" 2>&1; then fail "it took an unknown step"; fi
expect "'tests' is none of" "$folder/out"

# With stand-ins: every step, and a report in spite of what fails.
tool nvidia-smi <<'TEXT'
echo 'NVIDIA Stand-in, 580.1, 9.0, 100 MiB'
TEXT
tool nvcc <<'TEXT'
echo 'Cuda compilation tools, release 13.0, V13.0.88'
TEXT
tool cmake <<'TEXT'
case "$*" in
  *help*) printf 'test_cuda_a: phony\ntest_cuda_b: phony\nbench_cuda_ceilings: phony\nother: phony\n' ;;
  *--build*)
    mkdir -p build-gpu/tests build-gpu/benchmarks
    printf '#!/bin/sh\necho all is well\n' >build-gpu/tests/test_cuda_a
    cat >build-gpu/benchmarks/bench_cuda_ceilings <<'PROGRAM'
#!/bin/sh
for option in "$@"; do
  case "$option" in
    --benchmark_out=*)
      echo '{"context": {}, "benchmarks": [{"name": "ceiling_copy/bytes/1GiB/ours", "real_time": 1,
        "time_unit": "ms", "bytes": 2e9}]}' >"${option#--benchmark_out=}" ;;
  esac
done
PROGRAM
    chmod +x build-gpu/tests/test_cuda_a build-gpu/benchmarks/bench_cuda_ceilings
    echo 'FAILED: test_cuda_b'
    exit 1
    ;;
esac
TEXT
tool ctest <<'TEXT'
while [ $# -gt 1 ]; do
  if [ "$1" = --output-junit ]; then
    echo '<testcase name="a: case" classname="a" time="0.1" status="run">' >"$2"
  fi
  shift
done
echo '100% tests passed, 0 tests failed out of 1'
TEXT
tool compute-sanitizer <<'TEXT'
if [ "$2" = racecheck ]; then
  echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'
  exit 9
fi
echo '========= ERROR SUMMARY: 0 errors'
TEXT
include=$(dirname "$(dirname "$(find /usr/include /usr/local/include -path '*nlohmann/json.hpp' \
  2>/dev/null | head -n 1)")")
if [ "$include" != /usr/include ]; then
  echo "[skipped] nlohmann_json is not in /usr/include"
  exit 0
fi
if sh "$kit" --python false >"$folder/out" 2>&1; then fail "a failed step, but exit code 0"; fi
set -- "$folder"/tree/benchmarks/results/gpu-nvidia-stand-in-*.json
[ -f "$1" ] || { cat "$folder/out"; fail "no report"; }
expect '"device": "NVIDIA Stand-in"' "$1"
expect '"driver": "580.1"' "$1"
expect '"cuda": "13.0"' "$1"
expect '"copy_bytes_per_s": 2000000000000.0' "$1"
expect '"passed": 1' "$1"
expect 'not built: \["test_cuda_b"\]' "$folder/out"
expect 'test_cuda_a racecheck: errors' "$folder/out"
expect 'step build: failed' "$folder/out"
expect 'step test: ok' "$folder/out"
expect 'step sanitize: failed' "$folder/out"
expect 'step bench: failed' "$folder/out" # the rivals' program is `false`

# A later call keeps what it does not measure again.
sh "$kit" --only sanitize --tools memcheck >"$folder/out" 2>&1 || true
expect 'step test: ok' "$folder/out"
expect 'step sanitize: ok' "$folder/out"
expect 'test_cuda_a racecheck: errors' "$folder/out"
echo "the kit does what it should"
