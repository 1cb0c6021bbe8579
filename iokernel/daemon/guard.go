package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/iokernel/config"
)

// guards are kernel sockets bound to the UDP ports that runtimes serve. They never receive
// anything that is read: they make a conflict with another program an error at start, and keep
// the kernel from answering "port unreachable" while a runtime is away.
type guards []net.PacketConn

// openGuards binds one socket for each UDP endpoint of the configuration.
func openGuards(c *config.Config) (g guards, err error) {
	for _, r := range c.Runtimes {
		for _, e := range r.Endpoints {
			if e.UDP == 0 {
				continue
			}
			conn, err := openGuard(e)
			if err != nil {
				return nil, errors.Join(guardError(r.Name, e, err), g.close())
			}
			g = append(g, conn)
		}
	}
	return g, nil
}

func guardError(runtime string, e config.Endpoint, err error) error {
	what := fmt.Sprintf("iokernel: UDP port %d of runtime %s", e.UDP, runtime)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%s is taken by another program: stop it, or choose another port: %w",
			what, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%s: %v is no address of this host: %w", what, e.Address, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// openGuard binds to all addresses of both IP versions (or IPv4 alone where there is no IPv6), or
// to the endpoint's only.
func openGuard(e config.Endpoint) (net.PacketConn, error) {
	if e.Address.IsValid() {
		return listenGuard("udp", netip.AddrPortFrom(e.Address, e.UDP).String())
	}
	conn, err := listenGuard("udp", fmt.Sprintf("[::]:%d", e.UDP))
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		return listenGuard("udp4", fmt.Sprintf("0.0.0.0:%d", e.UDP))
	}
	return conn, err
}

func listenGuard(network, address string) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = refuseAll(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	return lc.ListenPacket(context.Background(), network, address)
}

// refuseAll attaches a filter that accepts no byte, so that nothing is ever queued on the socket.
func refuseAll(fd int) error {
	none := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(none)), Filter: &none[0]})
}

func (g guards) close() error {
	var errs []error
	for _, c := range g {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
