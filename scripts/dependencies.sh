#!/usr/bin/env bash
# Checks what a user of a module gets: the root has no dependency, an adapter has
# the root, its client, and what that client requires; none has a container library.
set -euo pipefail
cd "$(dirname "$0")/.."
export GOWORK=off
root=github.com/redlatch/redlatch
bad=0

got=$(go list -m all)
if [ "$got" != "$root" ]; then
	printf 'dependencies: the root module has some:\n%s\n' "$got" >&2
	bad=1
fi

# reach CLIENT reads the output of go mod graph and prints the modules, without
# versions, that CLIENT leads to.
reach() {
	awk -v client="$1" '
		{ sub(/@.*/, "", $1); sub(/@.*/, "", $2); to[$1] = to[$1] " " $2 }
		END {
			todo = client
			while (todo != "") {
				n = split(todo, now, " "); todo = ""
				for (i = 1; i <= n; i++) {
					if (now[i] in seen) continue
					seen[now[i]]; print now[i]; todo = todo " " to[now[i]]
				}
			}
		}'
}

check() {
	local adapter=$1 client=$2 extra
	cd "adapters/$adapter"
	extra=$(comm -23 \
		<(go list -m -f '{{.Path}}' all | sort) \
		<({ echo "$root"; echo "$root/adapters/$adapter"; go mod graph | reach "$client"; } | sort))
	extra+=$(go list -m -f '{{.Path}}' all | grep -E 'testcontainers|docker|moby|containerd' || true)
	if [ -n "$extra" ]; then
		printf 'dependencies: adapters/%s has more than %s requires:\n%s\n' "$adapter" "$client" "$extra" >&2
		bad=1
	else
		echo "dependencies: adapters/$adapter: $(($(go list -m all | wc -l) - 1)) modules, the root, $client and what that requires"
	fi
	cd "$OLDPWD"
}
check goredis github.com/redis/go-redis/v9
check redigo github.com/gomodule/redigo
check rueidis github.com/redis/rueidis
exit "$bad"
