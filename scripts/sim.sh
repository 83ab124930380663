#!/usr/bin/env bash
# Repeats some simulated runs, then simulates clusters for some real time, from a seed
# on, and until enough was done; prints what that was in sum, or the runs that failed.
# What is less than the floors in sim_test.go after LIMIT is a failure, too.
#
#   scripts/sim.sh TIME SEED [LIMIT]
set -euo pipefail
cd "$(dirname "$0")/../tests"
export GOWORK=off REDLATCH_SIM_TIME=$1 REDLATCH_SIM_SEED=$2 REDLATCH_SIM_LIMIT=${3:-4m}
go test -count=1 -timeout 2h -v -run '^(TestSeedsRepeat|TestSimulation)$' ./sim | sed -u '/^=== RUN/d; /--- PASS: .*seed=/d; /, trace /d'
