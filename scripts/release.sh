#!/usr/bin/env bash
# Makes a version of all published modules: one commit, and one tag for each of them,
# locally. Dry by default: everything is made and built in a clone that is thrown away,
# and this repository, its branch included, is not touched.
#
#   scripts/release.sh [-apply] [-unchecked] VERSION    # v0.1.0
#
# -apply brings the commits onto the checked-out branch and makes the tags. Nothing is
# pushed; the last lines say what a person has to push.
# -unchecked leaves out make lint and go vet, for who has just run them.
#
# Two commits. In the first, the tagged one, each nested module requires the project's
# modules at VERSION, those that are published have no replace, and their go.sum files have
# the sums of VERSION. The second brings back the go.mod and go.sum files from before, so that
# development keeps replace. Both are on the branch, in line: so git describe finds the
# tag, and the go command orders what comes after it behind it.
#
# The sums of modules that nobody can download yet: a module cache of its own takes the
# project's modules from the clone, by the go command itself, so that each sum is what users
# will get. It is thrown away, since a trial's v0.1.0 must not be taken for the real one
# later. All other modules come from the ordinary cache, else from GOPROXY.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
path=github.com/redlatch/redlatch
mapfile -t published <scripts/published.txt # folders

die() {
	printf 'release: %s\n' "$*" >&2
	exit 1
}

apply= unchecked= version=
for arg; do
	case $arg in
	-apply) apply=yes ;;
	-unchecked) unchecked=yes ;;
	-*) die "unknown flag $arg" ;;
	*) version=$arg ;;
	esac
done

# tag DIR prints the tag of the module in that folder.
tag() { [ "$1" = . ] && echo "$version" || echo "$1/$version"; }
# module DIR prints its path.
module() { [ "$1" = . ] && echo "$path" || echo "$path/$1"; }
# requires DIR prints which of the project's modules the one in DIR requires.
requires() { (cd "$1" && go mod edit -print | awk -v path="$path" '
	/=>/ { next } { if ($1 == "require") $1 = $2; if (index($1, path) == 1) print $1 }'); }

# 1. What must be so.

number='(0|[1-9][0-9]*)'
[[ $version =~ ^v[01]\.$number\.$number(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$ ]] ||
	die "VERSION is \"$version\", semantic like v0.1.0 wanted, below v2, which would need other module paths"
[ -z "$(git status --porcelain)" ] || die "the tree is not clean: $(git status --porcelain | head -n 3 | paste -sd';')"
branch=$(git symbolic-ref -q --short HEAD) || die "no branch is checked out"
for dir in "${published[@]}"; do
	! git rev-parse -q --verify "refs/tags/$(tag "$dir")" >/dev/null || die "the tag $(tag "$dir") exists"
done
unreleased=$(awk '/^## / { on = /^## \[Unreleased\]/ } on' CHANGELOG.md)
grep -q '^- ' <<<"$unreleased" || die "CHANGELOG.md has nothing under [Unreleased]"
if grep -q '^### Incompatible' <<<"$unreleased" && ! [[ $version =~ ^v0\.$number\.0(-|$)|^v1\.0\.0(-|$) ]]; then
	die "CHANGELOG.md has incompatible changes, which need a new minor version below v1.0.0, and are not for $version"
fi
if [ -z "$unchecked" ]; then
	make lint || die "make lint complains"
	echo "release: make lint has passed: every module builds, with replace. The whole test run is CI's; look there"
else
	echo "release: make lint is left out, as asked"
fi

# 2. The commits and tags, in a clone.

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ambient=$(go env GOMODCACHE)
git clone -q --shared --no-tags . "$tmp/clone"
git var GIT_COMMITTER_IDENT >/dev/null || die "git does not know who makes the commits"
for key in user.name user.email; do # these may be set for this repository alone
	! value=$(git config "$key") || git -C "$tmp/clone" config "$key" "$value"
done
cd "$tmp/clone"
before=$(git rev-parse HEAD)

# The project's modules from the clone, not from a proxy and without a checksum database.
n=${GIT_CONFIG_COUNT:-0}
export "GIT_CONFIG_KEY_$n=url.file://$tmp/clone.insteadOf" "GIT_CONFIG_VALUE_$n=https://$path" GIT_CONFIG_COUNT=$((n + 1))
export GOMODCACHE=$tmp/cache GOFLAGS="-modcacherw -trimpath ${GOFLAGS-}"
GOPROXY=file://$ambient/cache/download,$(go env GOPROXY)
GONOPROXY=$path,$(go env GONOPROXY)
GONOSUMDB=$path,$(go env GONOSUMDB)
export GOPROXY GONOPROXY GONOSUMDB

awk -v heading="## [${version#v}] - $(date -u +%F)" '
	{ print } /^## \[Unreleased\]/ { printf "\n%s\n", heading }' CHANGELOG.md >"$tmp/changelog"
cp "$tmp/changelog" CHANGELOG.md

modules=$(find . -name go.mod -exec dirname {} \; | sed 's|^\./||' | sort)
while read -r dir; do
	edits=()
	while read -r required; do
		[ -n "$required" ] || continue
		edits+=("-require=$required@$version")
		[[ " ${published[*]} " != *" $dir "* ]] || edits+=("-dropreplace=$required")
	done <<<"$(requires "$dir")"
	[ ${#edits[@]} = 0 ] || (cd "$dir" && go mod edit "${edits[@]}")
done <<<"$modules"

for dir in "${published[@]}"; do
	! (cd "$dir" && go mod edit -print) | grep -q '^replace\|^	.* => ' || die "$dir: go.mod still has a replace"
done
git commit -q -a -m "Release $version" -m "The tagged commit: no replace in what is published. The next one brings replace back."

# A module is tagged when those that it requires are, and its go.sum has their sums. That
# leaves the sums of the former as they are: a module's files are not those of another.
tagged=
todo=${published[*]}
while [ -n "$todo" ]; do
	now= later=
	for dir in $todo; do
		if [ -z "$(comm -23 <(requires "$dir" | sort) <(printf '%s\n' $tagged | sort))" ]; then
			now+=" $dir"
		else
			later+=" $dir"
		fi
	done
	[ -n "$now" ] || die "these modules require each other, or what is not published:$later"
	for dir in $now; do
		cp "$dir/go.mod" "$tmp/go.mod"
		(cd "$dir" && go mod tidy) 2>"$tmp/log" || die "$dir: go mod tidy: $(cat "$tmp/log")"
		cmp -s "$dir/go.mod" "$tmp/go.mod" || die "$dir: go mod tidy changes go.mod: $(diff "$tmp/go.mod" "$dir/go.mod")"
		tagged+=" $(module "$dir")"
	done
	git commit -q -a --amend --no-edit
	for dir in "${published[@]}"; do # what was tagged before moves to the amended commit
		[[ "$tagged " != *" $(module "$dir") "* ]] || git tag -f -a -m "$(module "$dir") $version" "$(tag "$dir")" >/dev/null
	done
	todo=$later
done

# 3. The tagged commit, as users get it: from the tags.

rm -rf "$GOMODCACHE/cache/vcs" "$GOMODCACHE/cache/download/$path" "$GOMODCACHE/$path" "$GOMODCACHE/$path"@*
while read -r dir; do
	(cd "$dir" && go list -mod=readonly -m all) &>"$tmp/log" || die "$dir: go.mod of the tagged commit: $(cat "$tmp/log")"
done <<<"$modules"
for dir in "${published[@]}"; do
	(cd "$dir" && go list -mod=readonly -test -deps ./...) &>"$tmp/log" || die "$dir: the tagged commit: $(cat "$tmp/log")"
	[ -n "$unchecked" ] || (cd "$dir" && go vet ./...) || die "$dir: the tagged commit does not build"
	echo "release: $(module "$dir")@$version"
done

git ls-files -z '*go.mod' '*go.sum' | xargs -0 git checkout -q "$before" --
git commit -q -a -m "Develop on after $version" -m "With replace again, as before the release."
[ "$(git diff --name-only "$before" HEAD)" = CHANGELOG.md ] || die "more than CHANGELOG.md would change: $(git diff --stat "$before" HEAD)"
after=$(git rev-parse HEAD)
cd "$OLDPWD"

# 4. Into this repository, or not.

tags=()
for dir in "${published[@]}"; do tags+=("$(tag "$dir")"); done
if [ -z "$apply" ]; then
	echo "release: dry: would add two commits to $branch, and the tags ${tags[*]}; do it with APPLY=1 (-apply)"
	exit
fi
git fetch -q --no-tags "$tmp/clone" "$after"
git merge -q --ff-only "$after"
refs=()
for name in "${tags[@]}"; do refs+=("refs/tags/$name:refs/tags/$name"); done
git fetch -q --no-tags --atomic "$tmp/clone" "${refs[@]}"
cat <<END
release: $version is made, here alone. When CI is green on $branch, push all at once:

    git push --atomic origin $branch ${tags[*]}

A tag that is public is for ever: the module proxy keeps it. To undo before that:

    git tag -d ${tags[*]}; git reset --hard ${before:0:12}
END
