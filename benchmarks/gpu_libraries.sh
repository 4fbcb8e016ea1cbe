# Sourced by gpu_kit: finds the CUDA, cuBLAS, cuSOLVER and cuDNN libraries that the packed programs
# need. The loader itself is asked what it finds and what it misses (LD_TRACE_LOADED_OBJECTS, which is
# what ldd sets), so nothing but a shell is needed.
# shellcheck shell=sh disable=SC2154  # python, work, cuda_version are the kit's

# trace PROGRAM: one line for each library, "name => path (address)" or "name => not found"
trace() { LD_TRACE_LOADED_OBJECTS=1 LD_LIBRARY_PATH="$library_path" "$1" 2>/dev/null; }
# missing_libraries PROGRAM...: the names that the loader does not find
missing_libraries() {
  for traced in "$@"; do trace "$traced"; done | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' |
    sort -u
}

# existing_folders PATTERN...: those that exist
existing_folders() {
  set +f
  # Expanding the patterns is meant.
  # shellcheck disable=SC2068
  for folder in $@; do
    if [ -d "$folder" ]; then printf '%s\n' "$folder"; fi
  done
  set -f
}
toolkit_folders() {
  for toolkit in ${CUDA_HOME:+"$CUDA_HOME"} ${CUDA_PATH:+"$CUDA_PATH"} /usr/local/cuda \
    '/usr/local/cuda-*'; do
    existing_folders "$toolkit/lib64" "$toolkit/lib" "$toolkit/targets/x86_64-linux/lib"
  done
}
# site_packages: where the interpreter's packages are
site_packages() {
  "$python" -c 'import site, sys
for folder in dict.fromkeys(sys.path + site.getsitepackages() + [site.getusersitepackages()]):
    print(folder)' 2>/dev/null | grep '/'
}
wheel_folders() {
  site_packages | while read -r site; do existing_folders "$site/nvidia/*/lib"; done
}
# candidates: "folder<TAB>where", in the order of the search
candidates() {
  toolkit_folders | sed 's/$/\tthe toolkit/'
  wheel_folders | sed "s/\$/\tthe wheels of $(printf '%s' "$python" | sed 's/[\/&]/\\&/g')/"
}
# folder_with NAME: the first candidate that holds the library
folder_with() {
  while read -r folder; do
    if [ -e "$folder/$1" ]; then printf '%s\n' "$folder" && return; fi
  done <"$work/candidate_folders"
}

# find_libraries PROGRAM...: sets library_path; writes libraries.tsv (name, path, where it is from) and
# missing.tsv (name)
find_libraries() {
  library_path=$work/pack/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  candidates >"$work/candidates.tsv"
  cut -f 1 "$work/candidates.tsv" >"$work/candidate_folders"
  # Libraries need others in turn, so until nothing more is found.
  added=yes
  while [ $added = yes ]; do
    added=no
    missing_libraries "$@" >"$work/missing.tsv"
    while read -r name; do
      folder=$(folder_with "$name")
      case ":$library_path:" in *":$folder:"*) folder="" ;; esac
      if [ -n "$folder" ]; then library_path=$library_path:$folder added=yes; fi
    done <"$work/missing.tsv"
  done
  : >"$work/libraries.tsv"
  for traced in "$@"; do trace "$traced"; done |
    sed -n 's/^[[:space:]]*\([^ ]*\) => \([^ ]*\) (.*/\1\t\2/p' | sort -u |
    grep -E '^lib(cu|nv)' | while IFS='	' read -r name path; do note_library "$name" "$path"; done
  find_compiler_library
}
# note_library NAME PATH
note_library() {
  found_in="the loader's path"
  listed=$(grep -F "${2%/*}	" "$work/candidates.tsv" | head -n 1 | cut -f 2)
  case ":${LD_LIBRARY_PATH:-}:" in *":${2%/*}:"*) listed="" ;; esac
  case ":$library_path:" in *":${2%/*}:"*) found_in=${listed:-$found_in} ;; esac
  case "$2" in "$work/pack/"*) found_in="the pack" ;; esac
  printf '%s\t%s\t%s\n' "$1" "$(readlink -f "$2")" "$found_in" >>"$work/libraries.tsv"
}
# cuDNN loads NVRTC by name for engines that it compiles at run time; no program is linked with it.
find_compiler_library() {
  if ! grep -q '^libcudnn' "$work/libraries.tsv"; then return; fi
  name=libnvrtc.so.$(echo "$cuda_version" | cut -d . -f 1)
  for folder in $(echo "$library_path" | tr : ' ') $(cut -f 2 "$work/libraries.tsv" |
    sed 's|/[^/]*$||' | sort -u); do
    if [ -e "$folder/$name" ]; then
      note_library "$name" "$folder/$name"
      return
    fi
  done
  if path=$(ldconfig -p 2>/dev/null | grep -m 1 -F "$name "); then
    note_library "$name" "${path##* }"
    return
  fi
  folder=$(folder_with "$name")
  if [ -z "$folder" ]; then
    echo "$name" >>"$work/missing.tsv"
    return
  fi
  library_path=$library_path:$folder
  note_library "$name" "$folder/$name"
}

print_libraries() {
  while IFS='	' read -r name path found_in; do
    printf '   %-22s %s (%s)\n' "$name" "$path" "$found_in"
  done <"$work/libraries.tsv"
  while read -r name; do
    cat <<TEXT
   $name was not found in the loader's path, in a toolkit (CUDA_HOME, /usr/local/cuda*) or in the
   wheels of $python. Put its folder in LD_LIBRARY_PATH, or name with --python an interpreter that
   has NVIDIA's wheels for CUDA ${cuda_version%%.*} (PyTorch brings them).
TEXT
  done <"$work/missing.tsv"
}
# compute_sanitizer: its path, or nothing
compute_sanitizer() {
  command -v compute-sanitizer && return
  for toolkit in ${CUDA_HOME:+"$CUDA_HOME"} /usr/local/cuda; do
    for tool in "$toolkit/bin/compute-sanitizer" "$toolkit/compute-sanitizer/compute-sanitizer"; do
      if [ -x "$tool" ]; then printf '%s\n' "$tool" && return; fi
    done
  done
}
