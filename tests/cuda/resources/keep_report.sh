#!/bin/sh
# keep_report.sh FILE COMMAND...: runs a compiler and keeps what it prints in FILE.ptxas.txt, from which
# the test "kernel_resources" reads the resources of each kernel. What is not ptxas' information is
# printed too.
set -u
report=$1.ptxas.txt
shift
"$@" >"$report.new" 2>&1
code=$?
mv "$report.new" "$report"
grep -v -E '^(ptxas )?info *:|^ +[0-9]+ bytes stack frame' "$report" >&2
exit $code
