//go:build unix

package guard

import (
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// script reads what there is to clean up. Its standard input ends with the
// process that holds the other end; what has not been taken back by then is
// removed. Containers are removed twice, since the engine may be about to create
// one that it has been asked for.
const script = `
trap '' INT TERM HUP QUIT PIPE
IFS='
'
items=
while read -r line; do
	case $line in
	+*) items="$items
${line#+}" ;;
	-*)
		left=
		for item in $items; do
			[ "$item" = "${line#-}" ] || left="$left
$item"
		done
		items=$left
		;;
	esac
done
clean() {
	for item in $items; do
		what=${item#* }
		case $item in
		process*) [ "$1" = 2 ] || kill -s KILL "$what" ;;
		group*) [ "$1" = 2 ] || kill -s KILL -- "-$what" ;;
		dir*) rm -rf "$what" ;;
		container*) DOCKER_HOST=${what%% *} "${REDLATCH_ENGINE:-docker}" rm -f -v "${what#* }" ;;
		esac
	done
}
[ -n "$items" ] || exit 0
clean 1
sleep 2
clean 2
`

var (
	mu   sync.Mutex
	cmd  *exec.Cmd
	pipe io.WriteCloser // nil where the script does not run
)

// Add tells that item is there now.
func Add(kind Kind, item string) {
	mu.Lock()
	defer mu.Unlock()
	if cmd == nil {
		start()
	}
	send("+", kind, item)
}

// Done tells that item, once added, is gone.
func Done(kind Kind, item string) {
	mu.Lock()
	defer mu.Unlock()
	send("-", kind, item)
}

func send(op string, kind Kind, item string) {
	if pipe != nil {
		fmt.Fprintf(pipe, "%s%s %s\n", op, kind, item)
	}
}

// start runs the script in a session of its own, where no terminal reaches it.
// Without a shell there is no guard.
func start() {
	cmd = exec.Command("sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		pipe = in
	}
}
