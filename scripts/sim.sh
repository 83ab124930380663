#!/usr/bin/env bash
# Simulates clusters for some real time, from a seed on, and prints what was done in
# sum, or the runs that failed.
#
#   scripts/sim.sh TIME SEED
set -euo pipefail
cd "$(dirname "$0")/../internal/integration"
export GOWORK=off REDLATCH_SIM_TIME=$1 REDLATCH_SIM_SEED=$2
go test -count=1 -timeout 2h -v -run '^TestSimulation$' ./sim | sed '/^=== RUN/d; /--- PASS: .*seed=/d; /, trace /d'
