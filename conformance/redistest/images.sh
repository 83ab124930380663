#!/bin/sh
# Builds small local server images from Debian packages, for machines whose
# container engine has no registry to pull from.
#
#   images.sh [-f] [redis:7.0 | redis:8.0 | valkey:8.1]...
#
# Without names it builds all three. An image that is there already is left
# alone; -f builds it anew. The images are called redlatch/redis:7.0,
# redlatch/redis:8.0 and redlatch/valkey:8.1.
#
# The packages come through a private apt root: the machine's apt lists, cache
# and installed packages stay as they are. The mirror and the proxy are those of
# the machine's own apt configuration; REDLATCH_DEBIAN_MIRROR names a mirror for
# a machine whose apt knows none (Ubuntu, for one). Signatures are checked.
#
# REDLATCH_ENGINE names the engine's command line. Default: docker.
set -eu

engine=${REDLATCH_ENGINE:-docker}

say() { echo "images.sh: $*" >&2; }
die() {
	say "$*"
	exit 1
}

# mirror prints the URI of a Debian archive.
mirror() {
	if [ -n "${REDLATCH_DEBIAN_MIRROR:-}" ]; then
		echo "$REDLATCH_DEBIAN_MIRROR"
		return
	fi
	id=$(. /etc/os-release 2>/dev/null && echo "${ID:-}")
	# The origin is known only where the lists have been fetched; on Debian
	# itself the release's own archive is recognised without it.
	apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI) $(ORIGIN)' |
		awk -v id="$id" '
			$1 != "Packages" || $2 != "main" || $3 ~ /[-\/]/ { next }
			$5 == "Debian" || (id == "debian" && $5 == "") { print $4; exit }'
}

keyring() {
	for f in "${REDLATCH_DEBIAN_KEYRING:-}" /usr/share/keyrings/debian-archive-keyring.gpg \
		/usr/share/keyrings/debian-archive-keyring.pgp; do
		if [ -n "$f" ] && [ -r "$f" ]; then
			echo "$f"
			return
		fi
	done
}

# apt_root DIR SUITE makes DIR a private apt root with the lists of SUITE.
apt_root() {
	root=$1
	mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$root/etc/parts" "$root/debs"
	echo "deb [signed-by=$keys] $uri $2 main" >"$root/etc/sources.list"
	{
		# Own configuration parts keep the machine's hooks from running;
		# how to reach a mirror (proxies, timeouts) is taken over.
		apt-config dump | grep -E '^Acquire::(https?|ForceIPv[46]|Retries)[: ]' || true
		cat <<-CONF
			Dir::Etc::main "/dev/null";
			Dir::Etc::parts "$root/etc/parts";
			Dir::Etc::sourcelist "$root/etc/sources.list";
			Dir::Etc::sourceparts "/dev/null";
			Dir::Etc::preferences "/dev/null";
			Dir::Etc::preferencesparts "/dev/null";
			Dir::State::status "/dev/null";
			Dir::State::extended_states "$root/extended_states";
			Dir::State::lists "$root/lists";
			Dir::Cache "$root/cache";
			Acquire::Languages "none";
			APT::Sandbox::User "";
		CONF
	} >"$root/etc/apt.conf"
	APT_CONFIG=$root/etc/apt.conf apt-get -qq update || die "cannot fetch the package lists of Debian $2"
}

# fetch DIR PACKAGE... unpacks the packages into DIR/stage.
fetch() {
	root=$1
	shift
	(cd "$root/debs" && APT_CONFIG=$root/etc/apt.conf apt-get -qq download "$@") ||
		die "cannot download the packages: $*"
	mkdir -p "$root/stage"
	for deb in "$root"/debs/*.deb; do
		dpkg -x "$deb" "$root/stage"
	done
}

# assemble DIR SERVER makes DIR/image the file system of an image for SERVER
# (redis or valkey) out of DIR/stage.
assemble() {
	stage=$1/stage
	image=$1/image
	mkdir -p "$image/bin" "$image/usr/bin" "$image/etc" "$image/data" "$image/tmp" "$image/dev" "$image/proc" "$image/sys"
	# Debian ships the server as the file behind the link <name>-check-rdb;
	# the program looks at its own name to tell which of the two it is.
	cp -L "$stage/usr/bin/$2-check-rdb" "$image/usr/bin/$2-server"
	cp -L "$stage/usr/bin/$2-cli" "$image/usr/bin/$2-cli"

	# The loader of the stage, since the machine's own libc may be too old for
	# these programs. It is copied to where the programs expect it.
	loader=$(find "$stage" -name 'ld-linux*.so.*' | sort | tail -n 1)
	[ -n "$loader" ] || die "the packages hold no dynamic loader"
	dirs=$(find "$stage" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
	for program in "$2-server" "$2-cli"; do
		"$loader" --library-path "$dirs" --list "$image/usr/bin/$program" >"$1/libraries" ||
			die "$program lacks a library: $(cat "$1/libraries")"
		sed -n 's/.* => \(.*\) (0x.*/\1/p' "$1/libraries" | while read -r library; do
			case $library in
			"$stage"/*) ;;
			*) die "$program would use the machine's $library" ;;
			esac
			mkdir -p "$image/lib"
			cp -L "$library" "$image/lib/"
		done
	done
	want=$(sed -n 's/^[[:space:]]*\(\/lib[^ ]*ld-linux[^ ]*\).*/\1/p; s/.*[[:space:]]\(\/lib[^ ]*ld-linux[^ ]*\) => .*/\1/p' "$1/libraries" | head -n 1)
	want=${want:-/lib64/$(basename "$loader")}
	mkdir -p "$image$(dirname "$want")"
	cp -L "$loader" "$image$want"

	cp "$(find "$stage" -path '*bin/busybox' -type f -perm -u+x)" "$image/bin/busybox"
	for link in sh ls cat ps kill sleep env; do
		ln -s busybox "$image/bin/$link"
	done
	echo 'root:x:0:0:root:/:/bin/sh
redis:x:999:999:server:/data:/bin/sh' >"$image/etc/passwd"
	echo 'root:x:0:
redis:x:999:' >"$image/etc/group"
	cat >"$image/entrypoint" <<-RUN
		#!/bin/sh
		case "\${1-}" in
		-* | *.conf) set -- $2-server "\$@" ;;
		esac
		exec "\$@"
	RUN
	chmod 755 "$image/entrypoint"
	chmod 1777 "$image/tmp"
}

# build NAME SUITE SERVER
build() {
	tag=redlatch/$1
	if [ "$force" = 0 ] && "$engine" image inspect "$tag" >/dev/null 2>&1; then
		say "$tag is there"
		return
	fi
	uri=$(mirror)
	[ -n "$uri" ] || die "apt knows no Debian archive here: set REDLATCH_DEBIAN_MIRROR to the URI of one"
	keys=$(keyring)
	[ -n "$keys" ] || die "no Debian keyring here: install debian-archive-keyring, or set REDLATCH_DEBIAN_KEYRING"
	case $2 in
	bookworm) more="libssl3 libgcrypt20 libgpg-error0 liblzma5 liblz4-1" ;;
	*) more="libssl3t64" ;;
	esac
	root=$work/$3-$2
	apt_root "$root" "$2"
	# shellcheck disable=SC2086 # a list of words
	fetch "$root" "$3-tools" busybox-static libc6 libatomic1 libjemalloc2 liblzf1 libstdc++6 libgcc-s1 \
		libsystemd0 libcap2 zlib1g libzstd1 $more
	assemble "$root" "$3"
	# Owned by root but for /data, whoever runs this.
	{
		tar -C "$root/image" --owner=0 --group=0 --numeric-owner --exclude=./data -cf "$root/image.tar" .
		tar -C "$root/image" --owner=999 --group=999 --numeric-owner -rf "$root/image.tar" ./data
	}
	"$engine" import \
		--change "ENTRYPOINT [\"/entrypoint\"]" \
		--change "CMD [\"$3-server\"]" \
		--change "ENV PATH=/usr/bin:/bin" \
		--change "USER 999:999" \
		--change "WORKDIR /data" \
		--change "EXPOSE 6379" \
		--message "Debian $2, $3-tools" "$root/image.tar" "$tag" >/dev/null ||
		die "the engine did not take $tag"
	rm -rf "$root"
	say "built $tag"
}

force=0
if [ "${1-}" = -f ]; then
	force=1
	shift
fi
[ $# -gt 0 ] || set -- redis:7.0 redis:8.0 valkey:8.1

for tool in "$engine" apt-get apt-config dpkg tar awk; do
	command -v "$tool" >/dev/null || die "$tool is needed to build images"
done

umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
for name in "$@"; do
	case $name in
	redis:7.0) build "$name" bookworm redis ;;
	redis:8.0) build "$name" trixie redis ;;
	valkey:8.1) build "$name" trixie valkey ;;
	*) die "unknown image $name: redis:7.0, redis:8.0 or valkey:8.1" ;;
	esac
done
