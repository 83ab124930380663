#!/usr/bin/env bash
# Checks every module without tests: gofmt, go build, go vet, staticcheck, tidy
# go.mod files, a go.work.sum that no command changes, that nobody gets more
# dependencies than the README says, and that versions of modules can be mixed.
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

# intruding prints what in the module here, tests aside, imports an internal package of
# another module of ours: two versions of those could not be mixed.
intruding() {
	go list -f '{{$p := .ImportPath}}{{range .Imports}}{{$p}} imports {{.}}{{"\n"}}{{end}}' ./... |
		awk -v root="$(cd "$root" && go list -m)/" -v own="$(go list -m)/" \
			'index($3, root) == 1 && $3 ~ /\/internal\// && index($3, own) != 1'
}
root=$PWD

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
	case $module in
	. | ./bench | ./tests) ;; # not for others to import, beside the root itself
	*) found=$(intruding) && [ -z "$found" ] || complain "$module: $found" ;;
	esac
	cd "$OLDPWD"
done < <(find . -name go.mod -exec dirname {} \; | sort)

# In a copy of the workspace, since the go command writes to go.work.sum without being asked.
sed "s|^\([[:space:]]\)\.|\1$PWD|" go.work >"$tmp/go.work"
cp go.work.sum "$tmp"
GOWORK=$tmp/go.work go list -m all >/dev/null || complain "go.work: go list -m all"
difference=$(diff go.work.sum "$tmp/go.work.sum") || complain "go.work.sum: a command with the workspace on would change it:"$'\n'"$difference"

scripts/dependencies.sh || complain "dependencies"
scripts/api.sh || complain "the API"
[ "$bad" = 0 ] && echo "lint: nothing to complain about"
