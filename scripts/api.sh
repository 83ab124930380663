#!/usr/bin/env bash
# Compares what the published modules export with the last version that is tagged in this
# history. What breaks a user's build is a complaint, unless CHANGELOG.md names it under
# "### Incompatible" of [Unreleased], which makes scripts/release.sh ask for a new minor
# version. Without a tag there is nothing to compare with.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
apidiff=golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
path=github.com/redlatch/redlatch
mapfile -t published <scripts/published.txt # folders

if ! last=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
	echo "api: no version has been tagged yet: nothing to compare with"
	exit
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if ! GOBIN=$tmp go install "$apidiff" 2>"$tmp/log"; then
	echo "api: left out, $apidiff cannot be fetched here: $(cat "$tmp/log")" >&2
	[ -z "${CI-}" ]
	exit
fi

mkdir "$tmp/last"
git archive "$last" | tar -x -C "$tmp/last"
allowed=$(awk '/^## / { on = /^## \[Unreleased\]/ } /^### / { in_it = /^### Incompatible/ } on && in_it' CHANGELOG.md)
bad=0
for dir in "${published[@]}"; do
	[ -e "$tmp/last/$dir/go.mod" ] || continue # it is new
	module=$path
	if [ "$dir" != . ]; then
		module=$path/$dir
		# The root's version need not be public yet where the tag was made.
		(cd "$tmp/last/$dir" && go mod edit -replace="$path=$tmp/last")
	fi
	(cd "$tmp/last/$dir" && "$tmp/apidiff" -m -w "$tmp/exported" "$module") 2>"$tmp/log" || { grep -v "^Ignoring" "$tmp/log" >&2; exit 1; }
	changes=$(cd "$dir" && "$tmp/apidiff" -m -incompatible "$tmp/exported" "$module" 2>"$tmp/log") || { grep -v "^Ignoring" "$tmp/log" >&2; exit 1; }
	while read -r change; do
		# "./core.(*Lease).Slot: removed" is core.Lease.Slot in the changelog.
		name=$(sed "s|: .*||; s|[(*)]||g; /^\.\//!s|^|${module##*/}.|; s|^\./||" <<<"$change")
		if [ -n "$change" ] && ! grep -qF "\`$name\`" <<<"$allowed"; then
			echo "api: not as in $last, and \`$name\` is not under ### Incompatible in CHANGELOG.md: $change" >&2
			bad=1
		fi
	done < <(sed -n 's/^- //p' <<<"$changes")
done
[ "$bad" = 0 ] && echo "api: compatible with $last, but for what CHANGELOG.md names"
exit "$bad"
