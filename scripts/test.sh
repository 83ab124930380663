#!/usr/bin/env bash
# Tests every module with the race detector, if there is a C compiler to link it, on
# servers of the best kind that this machine has: containers (missing images are
# built), else the installed redis-server, else miniredis. Says which it took and what
# that left out, which is a failure under REDLATCH_REQUIRED=containers.
#
#   scripts/test.sh [module]...    # folders; default: all of them
#
# REDLATCH_SERVERS or REDLATCH_REQUIRED insist on a kind, REDLATCH_ADDRS names
# servers that are there: see the documentation of conformance/redistest.
set -euo pipefail
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 403)); then
	echo "test: this is bash $BASH_VERSION; bash 4.3 or later is needed" >&2
	exit 1
fi
cd "$(dirname "$0")/.."
export GOWORK=off
race=-race
if [ -z "${CI-}" ] && [ "$(go env CGO_ENABLED)" != 1 ]; then
	race=
fi

# The outer run builds the command redistest, which runs the inner one, adds up
# what all tests report, and prints the sum.
if [ -z "${REDLATCH_TEST_TMP-}" ]; then
	tmp=$(mktemp -d)
	trap 'rm -rf "$tmp"' EXIT
	[ -n "$race" ] || echo 'test: without -race, which needs cgo and a C compiler' >&2
	(cd conformance/redistest && go build -o "$tmp/redistest" ./cmd/redistest)
	REDLATCH_TEST_TMP=$tmp PATH=$tmp:$PATH redistest -n 0 -- "$0" "$@"
	exit
fi
failed=$REDLATCH_TEST_TMP/failed
spans=$REDLATCH_TEST_TMP/spans # of the adapters' steps: begin and end
steps=0 adapters=0

# alone TITLE DIR COMMAND... runs a command when nothing else runs.
alone() {
	local title=$1 dir=$2
	shift 2
	wait
	steps=$((steps + 1))
	printf '\n== %s\n' "$title"
	(cd "$dir" && "$@") || echo "$title" >>"$failed"
}

# behind TITLE DIR COMMAND... starts a command and prints its output when it has ended.
behind() {
	local title=$1 dir=$2 began=$SECONDS out
	shift 2
	steps=$((steps + 1))
	{
		out=$(cd "$dir" && "$@" 2>&1) || echo "$title" >>"$failed"
		printf '\n== %s: %d s\n%s\n' "$title" "$((SECONDS - began))" "$out"
		[[ $dir != adapters/* ]] || echo "$began $SECONDS" >>"$spans"
	} &
}

# beside TITLE DIR COMMAND... does that when there is a place; the simulation takes none.
beside() {
	while [ "$(jobs -rp | grep -cvx "$simulation")" -ge "$places" ]; do wait -n || true; done
	behind "$@"
}

[ $# -gt 0 ] || mapfile -t modules < <(find . -name go.mod | sed 's|^\./||; s|/*go\.mod$||; s|^$|.|' | sort)
[ $# -eq 0 ] || modules=("$@")

kind=$(redistest -n 1 -- sh -c 'echo "$REDLATCH_KIND"')
images=("")
places=2 # for beside
[ "$kind" != embedded ] || places=1 # miniredis runs Lua in Go, and needs a processor for it
[ "$kind" != containers ] || images=(redis-7.0 redis-8.0 valkey-8.1)

# simulate starts the simulation, once, if it is wanted. It is in virtual time, so it may
# run when the others leave a processor idle.
simulation=none
simulate() {
	[ "$simulation" = none ] || return 0
	[[ " ${modules[*]} " = *" tests "* ]] || return 0
	# In its folder, without a package named: go test then shows the figures of what passes.
	behind "tests/sim" tests/sim nice -n 19 go test $race -timeout 20m
	simulation=$!
}

for module in "${modules[@]}"; do
	case $module in
	.) # the suite is tested on servers, too
		alone "the root module" . redistest -n 3 -- go test $race ./... ;;
	adapters/*) # these mostly wait, so two at once, with several cases each
		simulate
		for image in "${images[@]}"; do
			beside "$module on 1 x ${image:-$kind}" "$module" \
				redistest -n 1 -image "$image" -- go test $race -parallel 6 ./...
		done
		# The rest would use the first node alone, again. One image each, in turn: a majority is
		# the same on all.
		image=${images[adapters++ % ${#images[@]}]}
		beside "$module on 3 x ${image:-$kind}, the locks on all" "$module" \
			redistest -n 3 -image "$image" -- go test $race -parallel 6 -run 'Conformance/[^/]*/(Mutex|RWMutex)' ./... ;;
	examples/*) # an adapter, as a stranger writes one
		beside "$module" "$module" redistest -n 3 -- go test $race -parallel 4 ./... ;;
	tests) # a package at a time: some are about time
		simulate
		alone "$module" "$module" sh -c "go test $race -p 1 -timeout 20m \$(go list ./... | grep -v /sim\$)" ;;
	*) # these start servers of their own, a package at a time
		beside "$module" "$module" go test $race -p 1 -timeout 20m ./... ;;
	esac
done
wait

if [ "${REDLATCH_REQUIRED-}" = containers ] && grep -qs '^left' "$REDLATCH_REPORT"; then
	echo 'something was left out' >>"$failed"
fi
printf '\n== servers: %s; %d steps' "$kind" "$steps"
[ ! -s "$spans" ] || awk '
	NR == 1 || $1 < began { began = $1 }
	$2 > ended { ended = $2 }
	END { printf ", the adapters in %d s", ended - began }' "$spans"
if [ -s "$failed" ]; then
	printf ', FAILED: %s\n' "$(paste -sd';' "$failed")"
	exit 1
fi
echo ', all passed'
