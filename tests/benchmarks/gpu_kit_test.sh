#!/bin/sh
# gpu_kit_test.sh SOURCE FOLDER GPU_REPORT: runs the GPU kit on a pack of stand-ins for the programs: what
# passes, fails, hangs, writes too much or is missing, and a run that is killed.
set -eu
source=$1
folder=$2
report_tool=$3
rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/pack/rivals" "$folder/tools" "$folder/tmp"
export TMPDIR="$folder/tmp"
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
expect() { # expect TEXT FILE
  grep -q -e "$1" "$2" || { cat "$2" >&2; fail "no '$1' in $2"; }
}
program() { # program PATH: a stand-in whose body is on standard input
  { echo '#!/bin/sh'; cat; } >"$folder/$1"
  chmod +x "$folder/$1"
}
# ended PROGRAM STATUS [REASON]: in the report's part that names the program first
ended() {
  grep -A 4 "\"program\": \"$1\"" "$report" | head -n 5 >"$folder/entry"
  expect "\"status\": \"$2\"" "$folder/entry"
  if [ $# -gt 2 ]; then expect "\"reason\": \".*$3" "$folder/entry"; fi
}

# --- The pack -------------------------------------------------------------------------------------

# A test that writes the results on standard input where -o says.
test_program() {
  program "bin/$1" <<TEXT
while [ \$# -gt 1 ]; do
  if [ "\$1" = -o ]; then cat >"\$2" <<'XML'
$(cat)
XML
  fi
  shift
done
exit ${2:-0}
TEXT
}
test_program test_cuda_axial_attention <<'XML'
<Catch><TestCase name="a case"><OverallResult success="true" durationInSeconds="0.5"/></TestCase>
XML
test_program test_cuda_conv3d 1 <<'XML'
<Catch><TestCase name="wrong"><Expression><Expanded>1 == 2</Expanded></Expression>
<OverallResult success="false"/></TestCase>
XML
program bin/test_cuda_codebook <<'TEXT'
exec sleep 60
TEXT
program bin/test_cuda_of_the_future <<'TEXT'
echo all is well
TEXT
program bin/bench_cuda_ceilings <<'TEXT'
if [ -e "$(dirname "$0")/no_device" ] || [ "${CUDA_VISIBLE_DEVICES-unset}" = "" ]; then
  echo "no device: this is a stand-in" >&2
  exit 77
fi
for option in "$@"; do
  case "$option" in
    --benchmark_out=*)
      echo '{"context": {}, "benchmarks": [{"name": "ceiling_copy/bytes/1GiB/ours", "real_time": 1,
        "time_unit": "ms", "bytes": 2e9}]}' >"${option#--benchmark_out=}" ;;
  esac
done
TEXT
program bin/bench_cuda_axial_attention <<'TEXT'
yes 'a long log' | head -c 40000000
echo 'the end of a long log'
TEXT
program bin/bench_cuda_of_the_future <<'TEXT'
exit 0
TEXT
program tools/compute-sanitizer <<'TEXT'
if [ "$2" = racecheck ]; then
  echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'
  exit 9
fi
echo '========= ERROR SUMMARY: 0 errors'
TEXT
program tools/python <<'TEXT'
case "$1" in *torch_rivals.py) echo "skipped: PyTorch is not there" ;; esac
TEXT
make_pack() {
  tar -C "$folder" -czf "$folder/pack/programs.tar.gz" bin
  for file in "$folder"/bin/test* "$folder"/bin/bench*; do
    printf '%s\tpacked\n' "${file##*/}"
  done >"$folder/pack/programs.tsv"
  printf 'test_cuda_norm\tnot_built\n' >>"$folder/pack/programs.tsv"
}
cp "$source/benchmarks/gpu_kit" "$source/benchmarks/driver.sh" "$source/benchmarks/gpu_libraries.sh" \
  "$folder/pack/"
cp "$report_tool" "$folder/pack/gpu_report"
cp "$(command -v gzip)" "$folder/pack/gzip"
printf 'commit\tabc\ncuda\t13.0\n' >"$folder/pack/manifest.tsv"
make_pack
out=$folder/out
report=$out/report.json
# kit OPTION...
kit() {
  PATH="$folder/tools:$PATH" sh "$folder/pack/gpu_kit" --out "$out" --python "$folder/tools/python" \
    "$@" >"$folder/kit.log" 2>&1
}

# --- Runs -----------------------------------------------------------------------------------------

began=$(date +%s)
if kit --budget 60; then fail "programs failed, but exit code 0"; fi
took=$(($(date +%s) - began))
[ $took -le 60 ] || fail "it took $took s of 60"
ended test_cuda_axial_attention ok
ended test_cuda_conv3d failed
ended test_cuda_codebook cut "it had [0-9]* s"
ended test_cuda_norm no_start "was not built"
ended test_cuda_of_the_future ok
ended bench_cuda_of_the_future ok
ended torch_rivals left_out "PyTorch is not there"
expect '"passed": 1' "$report"
expect '"assertion": "1 == 2"' "$report"
expect '"copy_bytes_per_s": 2000000000000.0' "$report"
expect 'racecheck of test_cuda_axial_attention: RACECHECK SUMMARY: 1' "$out/summary.txt"
expect '"commit": "abc"' "$report"
# No file is large, and the log keeps its start and its end.
[ "$(ls -A "$out" | wc -l)" -le 8 ] || fail "$(ls -A "$out")"
for file in "$out"/*; do
  [ "$(wc -c <"$file")" -lt 16000000 ] || fail "$file is too large"
done
tar -xOf "$out/logs.tar" logs/bench_cuda_axial_attention.log >"$folder/long.log"
expect 'bytes left out' "$folder/long.log"
expect 'the end of a long log' "$folder/long.log"
[ "$(wc -c <"$folder/long.log")" -lt 200000 ] || fail "the long log was kept whole"

# Some parts, some programs: what was left out is named.
kit --budget 60 --only smoke,ceilings --filter 'axial|ceilings' || fail "$(cat "$folder/kit.log")"
ended test_cuda_axial_attention ok
ended bench_cuda_ceilings ok
ended test_cuda_conv3d left_out --filter
ended bench_cuda_of_the_future left_out --only

# Killed while the second program runs: the first one's results are there, and so are the names of the
# others.
rm -r "$out"
sh "$folder/pack/gpu_kit" --out "$out" --python false --budget 60 >"$folder/kit.log" 2>&1 &
killed=$!
tenths=0
until [ -e "$report" ] && grep -q '"outcome": "passed"' "$report"; do
  [ $tenths -lt 200 ] || { cat "$folder/kit.log" >&2 && fail "no report after its first program"; }
  sleep 0.1
  tenths=$((tenths + 1))
done
kill -9 $killed
wait $killed 2>/dev/null || true
# The program outlives the kit, if it had begun.
kill "$(cat "$TMPDIR"/*/pid)" 2>/dev/null || true
ended test_cuda_axial_attention ok
ended test_cuda_codebook not_reached
ended bench_cuda_ceilings not_reached
[ "$(ls -A "$out" | wc -l)" -le 8 ] || fail "$(ls -A "$out")"
tar -tf "$out/results.tar" | grep -q tests/test_cuda_axial_attention.xml || fail "no raw results"

# Without a device: an error at once, unless it is a dry run, which needs none.
rm "$folder/bin/test_cuda_codebook" "$folder/bin/test_cuda_conv3d" "$folder"/bin/bench_cuda_[ao]*
touch "$folder/bin/no_device"
make_pack
sed -i '/not_built/d' "$folder/pack/programs.tsv"
if kit; then fail "it ran without a device"; fi
expect 'no GPU here: no device: this is a stand-in' "$folder/kit.log"
kit --dry-run || fail "$(cat "$folder/kit.log")"
ended bench_cuda_ceilings no_device

# Options that are refused.
if kit --only smok; then fail "it took an unknown part"; fi
expect "'smok' is none of smoke ceilings" "$folder/kit.log"
if kit --budget 5m; then fail "it took a budget that is not a number"; fi
expect "not '5m'" "$folder/kit.log"
touch "$out/mine"
if kit --dry-run; then fail "it wrote beside other files"; fi
expect 'holds other files (mine)' "$folder/kit.log"
echo "the kit does what it should"
