# shellcheck shell=bash
# The parts of ./check --long. Sourced by ./check, whose run_tests, step and note they use; ./build is there. Each part is a function
# part_NAME that installs what it needs besides; any other name is a test of meson's, run at its long sizes.

all_parts=(units mount tsan ubsan clang fuzz pjdfstest fsx)

part_units() { run_tests 'unit tests with more seeds' build --setup long --no-suite mount; }

part_mount() { run_tests 'mount tests at full size' build --setup long --suite mount; }

part_tsan() {
  configure_tsan || return 1
  stress_under_tsan 600
}

part_ubsan() {
  step 'configure with all of UBSan' configure build-ubsan -Ddebug=false -Doptimization=1 -Dcpp_args=-g1 -Db_sanitize=undefined \
    -Db_lundef=false "${unity[@]}" || return 1
  step 'build with all of UBSan' ninja -C build-ubsan || return 1
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 run_tests 'unit tests under all of UBSan' build-ubsan --no-suite mount \
    --timeout-multiplier 4
}

part_clang() {
  install_packages clang
  CXX=clang++ step 'configure with clang' configure build-clang -Ddebug=false || return 1
  step 'build with clang' ninja -k 0 -C build-clang || return 1
  local failed=0
  run_tests 'unit tests, built with clang' build-clang --no-suite mount || failed=1
  run_tests 'mount tests, built with clang' build-clang --suite mount || failed=1
  return $failed
}

# Every target of tests/fuzz looks for what breaks its claims, COFFER_FUZZ_SECONDS each. What it finds is kept in build-fuzz/found;
# minimised, it becomes a file of tests/fuzz/corpus.
part_fuzz() {
  local seconds=${COFFER_FUZZ_SECONDS:-600} failed=0 program target log
  install_packages clang libclang-rt-14-dev
  CXX=clang++ step 'configure for fuzzing' configure build-fuzz "${fuzz_options[@]}" || return 1
  step 'build for fuzzing' ninja -C build-fuzz campaigns || return 1
  for program in build-fuzz/tests/fuzz/*_campaign; do
    target=$(basename "$program" _campaign)
    mkdir -p "build-fuzz/found/$target"
    log=$logs/fuzz-${target//_/-}-$seconds-s.log
    step "fuzz $target $seconds s" "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=70000 -len_control=200 \
      -print_final_stats=1 -artifact_prefix="build-fuzz/found/$target/" "build-fuzz/found/$target" "tests/fuzz/corpus/$target" || failed=1
    note "      $(awk '/^stat::number_of_executed_units/ { runs = $2 } / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
      END { printf "%d inputs, %d edges", runs, edges }' "$log")"
  done
  return $failed
}
fuzz_options=(-Dfuzz=enabled -Ddebug=false -Doptimization=1 '-Dcpp_args=["-g1","-fsanitize=fuzzer-no-link"]' -Db_sanitize=address,undefined
  -Db_lundef=false "${unity[@]}")

# outside NAME WHERE: other people's tests, from where an environment variable says; without it there is nothing to run.
outside() {
  local name=$1 where=$2 code=0
  if [ -z "$where" ]; then
    note "skip  $name: \$${name^^} names none"
    return 0
  fi
  COFFER_BIN=$PWD/build step "$name" $python tests/long/outside.py "$name" "$where" || code=1
  while IFS= read -r line; do note "      $line"; done < <(grep -E '^(pjdfstest|fsx) ' "$logs/$name.log" || true)
  return $code
}

part_pjdfstest() { outside pjdfstest "${PJDFSTEST:-}"; }

part_fsx() { outside fsx "${FSX:-}"; }

# long_parts [PART...]: each, and its section of docs/LONG.md; what was skipped leaves the section of an earlier run.
long_parts() {
  local part begin first_record start
  if [ $# = 0 ]; then set -- "${all_parts[@]}"; fi
  for part in "$@"; do
    begin=${#report[@]} first_record=${#records[@]} start=$SECONDS
    if declare -F "part_$part" >/dev/null; then
      "part_$part" || true
    else
      run_tests "$part" build --setup long "$part" || true
    fi
    case ${report[begin]:-} in 'skip '*) continue ;; esac
    {
      printf '%s\n' "${report[@]:begin}"
      if [ ${#records[@]} -gt "$first_record" ]; then
        $python tests/support/tally.py --printed "${records[@]:first_record}" | sed '$d' || true
      fi
    } | $python tests/long/report.py docs/LONG.md "$part" "$((SECONDS - start))"
  done
}
