package redistest

import (
	"fmt"
	"os"
	"syscall"
)

// reserve returns a free loopback port and keeps it for the caller until release.
//
// A socket that is bound with SO_REUSEADDR but does not listen keeps the kernel
// from giving its port to anybody who asks for any port, to connect from or to
// listen on. A server that asks for this very port, also with SO_REUSEADDR, gets
// it. So the port stays ours while its server is down, and is refused meanwhile.
func reserve() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			syscall.Close(fd)
		}
	}()
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, nil, os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, nil, os.NewSyscallError("getsockname", err)
	}
	addr, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return 0, nil, fmt.Errorf("socket name is a %T", name)
	}
	return addr.Port, func() { syscall.Close(fd) }, nil
}
