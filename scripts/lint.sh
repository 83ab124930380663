#!/usr/bin/env bash
# Checks every module without tests: gofmt, go build, go vet, staticcheck, tidy
# go.mod files, and that nobody gets more dependencies than the README says.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
complain() {
	printf 'lint: %s\n' "$*" >&2
	bad=1
}

unformatted=$(find . -name '*.go' -exec gofmt -l {} +)
[ -z "$unformatted" ] || complain "not gofmt-ed: $unformatted"

if ! GOBIN=$tmp go install "$staticcheck" 2>"$tmp/log"; then
	[ -z "${CI-}" ] || complain "$staticcheck: $(cat "$tmp/log")"
	echo "lint: staticcheck is left out: it cannot be fetched here" >&2
fi

while read -r module; do
	echo "lint: $module"
	cd "$module"
	go mod tidy -diff 2>"$tmp/log" || complain "$module: go mod tidy would change it$(sed "s/^/\n  /" "$tmp/log")"
	go build ./... || complain "$module: does not build"
	go vet ./... || complain "$module: go vet"
	[ ! -x "$tmp/staticcheck" ] || "$tmp/staticcheck" ./... || complain "$module: staticcheck"
	cd "$OLDPWD"
done < <(find . -name go.mod -exec dirname {} \; | sort)

scripts/dependencies.sh || complain "dependencies"
[ "$bad" = 0 ] && echo "lint: nothing to complain about"
