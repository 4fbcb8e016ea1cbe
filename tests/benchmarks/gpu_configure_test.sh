#!/bin/sh
# gpu_configure_test.sh SOURCE FOLDER: configures as `./run gpu-pack` does, and with the preset minimal,
# in a view of this machine without the packages that only optional components need. Needs Debian's
# packages and a mount namespace of its own.
set -eu
source=$1
folder=$2
# shellcheck source=tests/benchmarks/support.sh
. "$(dirname "$0")/support.sh"
enter_namespace m "$0" "$@"

# /usr as an overlay, in which files can be removed without harm.
overlay=$folder/overlay
rm -rf "$folder"
mkdir -p "$overlay"
mount -t tmpfs none "$overlay"
mkdir "$overlay/upper" "$overlay/work"
mount -t overlay none -o "lowerdir=/usr,upperdir=$overlay/upper,workdir=$overlay/work" /usr ||
  skip "an overlay of /usr is not permitted here"

# What `run` installs, but for what the library, its tests and its benchmarks need.
needed="g++ cmake ninja-build pkg-config libeigen3-dev libxtensor-dev nlohmann-json3-dev catch2
  libbenchmark-dev"
installed=$(sed -n '/^build_packages="/,/"$/p' "$source/run" | tr -d '"' | sed 's/^build_packages=//')
hidden=""
for package in $installed; do
  case " $(echo $needed) " in *" $package "*) ;; *) hidden="$hidden $package" ;; esac
done
for package in libnifti2-dev libexpat1-dev libhdf5-dev libcli11-dev; do
  case " $hidden " in *" $package "*) ;; *) fail "$package is not among the hidden:$hidden" ;; esac
done
for package in $hidden; do
  dpkg-query -L "$package" 2>/dev/null | grep '^/usr/' | while read -r file; do
    if [ -f "$file" ] || [ -L "$file" ]; then rm -f "$file"; fi
  done
done

expect_success() { # expect_success LOG COMMAND...
  log=$folder/$1
  shift
  "$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2 && fail "$*"; }
}
cd "$source"
expect_success minimal.log cmake --preset minimal -B "$folder/minimal"
components=$(grep -A 2 '^//Components\{0,1\} ' "$folder/minimal/CMakeCache.txt" | grep '^VID2VOX_')
[ "$(echo "$components" | wc -l)" -ge 8 ] || fail "the components' options are only: $components"
! echo "$components" | grep -v '=OFF$' || fail "VID2VOX_COMPONENTS=OFF leaves these on"
# Without it the preset cannot be configured here, so its switch is what makes it succeed.
if cmake --preset minimal -B "$folder/control" -DVID2VOX_NIFTI=ON >"$folder/control.log" 2>&1; then
  fail "NIFTI was found: nothing is hidden here"
fi
grep -q 'libnifti2-dev' "$folder/control.log" || fail "not NIFTI's fault: $folder/control.log"
if ! command -v nvcc >/dev/null && [ ! -x /usr/local/cuda/bin/nvcc ]; then
  skip "no CUDA toolkit is here: gpu-pack's line was not tried"
fi
expect_success pack.log sh benchmarks/gpu_pack --configure-only --build-folder "$folder/pack"
if sh benchmarks/gpu_pack --configure-only --build-folder "$folder/pack" -- -DVID2VOX_NIFTI=ON \
  >"$folder/control.log" 2>&1; then
  fail "gpu-pack's line was configured with NIFTI"
fi
grep -q 'libnifti2-dev' "$folder/control.log" || fail "not NIFTI's fault: $folder/control.log"
echo "configured without:$hidden"
