#!/bin/sh
# gpu_dry_run_test.sh SOURCE FOLDER PACK|BUILD CUDA_LIBRARIES CUDNN_LIBRARIES: a dry run of a pack in a
# root folder that holds nothing but sh, coreutils, grep, sed, tar and glibc, without network, with
# CUDA's libraries only where NVIDIA's wheels would put them. Of a build folder a pack is made first.
set -eu
# shellcheck source=tests/benchmarks/support.sh
. "$(dirname "$0")/support.sh"
enter_namespace mn "$0" "$@"
source=$1
folder=$2
cuda_libraries=$4
cudnn_libraries=$5
root=$folder/root
rm -rf "$folder"
mkdir -p "$root"
if [ -e "$3/manifest.tsv" ]; then
  pack=$3
else
  pack=$folder/pack
  sh "$source/benchmarks/gpu_pack" --programs "$3" "$pack" >"$folder/pack.log" 2>&1 ||
    { cat "$folder/pack.log" >&2 && fail "gpu_pack"; }
fi

# --- The bare machine -----------------------------------------------------------------------------

mount -t tmpfs none "$root"
site=/opt/python/lib/python3.12/site-packages
mkdir -p "$root/bin" "$root/tmp" "$root/dev" "$root/out" "$root/pack" \
  "$root$site/nvidia/cu13/lib" "$root$site/nvidia/cudnn/lib"
mount --bind "$cuda_libraries" "$root$site/nvidia/cu13/lib"
mount --bind "$cudnn_libraries" "$root$site/nvidia/cudnn/lib"
touch "$root/dev/null" && mount --bind /dev/null "$root/dev/null"
for tool in /bin/sh /bin/grep /bin/sed /bin/tar $(dpkg-query -L coreutils | grep -E '^(/usr)?/bin/.'); do
  cp -L "$tool" "$root/bin/${tool##*/}"
done
for tool in cmake nvcc gzip find awk python3 ldd; do
  [ ! -e "$root/bin/$tool" ] || fail "$tool is on the bare machine"
done
# The tools' libraries, glibc's for the programs, and the loader.
glibc='/(libc|libm|libmvec|libdl|libpthread|librt|libresolv|libutil)\.so\.'
sample=$(find /usr/lib /lib -name 'libm.so.6' -path '*x86_64*' | head -n 1)
for library in $(for tool in "$root"/bin/*; do ldd "$tool" 2>/dev/null; done |
  sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u) \
  $(find "$(dirname "$sample")" -maxdepth 1 -name '*.so.[0-9]*' | grep -E "$glibc"); do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cat >"$root/bin/with-wheels" <<TEXT
#!/bin/sh
case "\$1 \${2:-}" in
  "-c import site"*) echo $site ;;
  "-c "*) ;;
  *) echo "skipped: PyTorch is not there" ;;
esac
TEXT
cat >"$root/bin/without-wheels" <<'TEXT'
#!/bin/sh
case "$1 ${2:-}" in "-c "*) ;; *) echo "skipped: PyTorch is not there" ;; esac
TEXT
chmod +x "$root/bin/with-wheels" "$root/bin/without-wheels"
cp -r "$pack/." "$root/pack/"
# kit OPTION...: what the bare machine does
variable=NONE=
kit() {
  chroot "$root" /bin/env -i PATH=/bin "$variable" /bin/sh /pack/gpu_kit --out /out "$@" >"$folder/out.txt" 2>&1
}
report=$root/out/report.json

# --- What it must do ------------------------------------------------------------------------------

if kit --python with-wheels; then fail "it ran without a GPU"; fi
grep -q 'no GPU here' "$folder/out.txt" || { cat "$folder/out.txt" >&2 && fail "no reason"; }
began=$(date +%s)
kit --python with-wheels --budget 540 --dry-run || { cat "$folder/out.txt" >&2 && fail "a dry run"; }
took=$(($(date +%s) - began))
programs=$(wc -l <"$pack/programs.tsv")
# A program shows up once by itself, and the tests under both tools of the sanitizer, which is absent.
started=$(grep -c '"status": "no_device"' "$report")
[ "$started" -eq "$programs" ] || { cat "$folder/out.txt" >&2 && fail "$started of $programs started"; }
grep -q '"found_in": "the wheels of with-wheels"' "$report" || fail "the wheels were not used"
! grep -q '"found_in": "the toolkit"' "$report" || fail "there is no toolkit"
for library in libcublasLt libcublas libcusolver libcudnn libnvrtc; do
  grep -q "\"name\": \"$library\.so" "$report" || fail "the report lacks $library"
done
parts=$(sed -n 's/.*"part": "\(.*\)",/\1/p' "$report" | paste -s -d ' ')
[ "$parts" = "smoke ceilings benchmarks training tests pointwise rivals memcheck racecheck" ] ||
  fail "the parts are $parts"
limits=$(sed -n 's/.*"limit_seconds": \([0-9]*\).*/\1/p' "$report" | paste -s -d +)
# shellcheck disable=SC2004
sum=$(($limits))
[ $sum -le 540 ] || fail "the limits are $limits"
[ $sum -gt 500 ] || fail "the limits are $limits"
[ "$(ls -A "$root/out" | wc -l)" -le 8 ] || fail "more than 8 files"

# Without the libraries: which is missing, what to do, and which programs start all the same.
if kit --python without-wheels --dry-run; then fail "it ran without cuBLAS"; fi
grep -q 'libcublasLt.so.[0-9]* was not found in the loader' "$folder/out.txt" ||
  { cat "$folder/out.txt" >&2 && fail "no message"; }
grep -q '"status": "no_start"' "$report" || fail "no program missed a library"
grep -q '"status": "no_device"' "$report" || fail "no program started"

# The other places: a toolkit, and the loader's own path.
mkdir -p "$root/usr/local/cuda/lib64"
mount --bind "$cuda_libraries" "$root/usr/local/cuda/lib64"
kit --python without-wheels --dry-run --only ceilings || fail "it did not find the toolkit"
grep -q '"found_in": "the toolkit"' "$report" || fail "the toolkit was not used"
variable=LD_LIBRARY_PATH=$site/nvidia/cu13/lib:$site/nvidia/cudnn/lib
kit --python without-wheels --dry-run --only ceilings || fail "LD_LIBRARY_PATH was not kept"
! grep -q '"found_in": "the toolkit"' "$report" || fail "the loader has them without the toolkit"
grep -q "\"found_in\": \"the loader's path\"" "$report" || fail "the loader's path was not used"
echo "$started programs started in a bare root folder; a dry run takes $took s"
