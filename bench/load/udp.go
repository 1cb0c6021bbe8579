package load

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// udpClient is a Transport over a connected UDP socket of the kernel: one system call to send, one
// to look for a reply. It polls, or waits in the kernel if it blocks.
type udpClient struct {
	fd      int
	blocks  bool
	awaited uint64 // request whose reply to wait for, Damaged if none; blocking only
	payload int
	out     [chunkBytes]byte
	in      [chunkBytes]byte
}

// receiveBytes is room for what arrives while the receiver does not run. The kernel takes less if
// net.core.rmem_max says so. (guess: MaxWindow small packets, each of which counts as 768 B)
const receiveBytes = 1 << 20

// openUDP returns a socket in the calling thread's network namespace. It is bound to local, whose
// port may be 0, and connected to remote if that is valid.
func openUDP(local, remote netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("load: open a UDP socket: %w", err)
	}
	at := func(a netip.AddrPort) unix.Sockaddr {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	wait := unix.NsecToTimeval(int64(lookAfter))
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBytes))
	if err == nil {
		err = unix.Bind(fd, at(local))
	}
	if err == nil && remote.IsValid() {
		err = unix.Connect(fd, at(remote))
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("load: UDP socket from %v to %v: %w", local, remote, err),
			unix.Close(fd))
	}
	return fd, nil
}

func newUDPClient(local, remote netip.AddrPort, blocks bool) (*udpClient, error) {
	fd, err := openUDP(local, remote)
	if err != nil {
		return nil, err
	}
	return &udpClient{fd: fd, blocks: blocks}, nil
}

// SetBytes implements Transport.
func (c *udpClient) SetBytes(frame int) (err error) {
	c.payload, err = udpPayload(frame)
	c.awaited = Damaged
	return err
}

// udpPayload is the payload of a UDP packet over IPv4 that makes a frame of so many bytes.
func udpPayload(frame int) (int, error) {
	payload := frame - wire.UDP4Bytes
	if payload < minPayload || frame > chunkBytes {
		return 0, fmt.Errorf("load: UDP packets in frames of %d bytes: want %d to %d", frame,
			wire.UDP4Bytes+minPayload, chunkBytes)
	}
	return payload, nil
}

// Send implements Transport.
func (c *udpClient) Send(seq uint64, n int) int {
	for i := range n {
		b := c.out[:c.payload]
		putPayload(b, seq+uint64(i))
		if errno := sendNow(c.fd, b, nil); errno != 0 {
			return i
		}
		c.awaited = seq + uint64(i)
	}
	return n
}

// Recv implements Transport.
func (c *udpClient) Recv(dst []uint64) int {
	if c.blocks {
		return c.wait(dst)
	}
	for i := range dst {
		n, errno := recvNow(c.fd, c.in[:], nil)
		if errno != 0 {
			return i
		}
		dst[i] = c.number(n)
	}
	return len(dst)
}

// wait waits for one reply, if there is one to wait for.
func (c *udpClient) wait(dst []uint64) int {
	if c.awaited == Damaged {
		return 0
	}
	n, errno := recvWait(c.fd, c.in[:], nil)
	if errno != 0 {
		return 0
	}
	dst[0] = c.number(n)
	if dst[0] == c.awaited {
		c.awaited = Damaged
	}
	return 1
}

// number is the number of the reply of n bytes that was received.
func (c *udpClient) number(n int) uint64 {
	if n != c.payload {
		return Damaged
	}
	return checkPayload(c.in[:n])
}

func (c *udpClient) Close() error { return unix.Close(c.fd) }

// udpServer echoes on a UDP socket, polling or blocking, for ever.
func udpServer(at netip.AddrPort, blocks bool, work core.Time) error {
	fd, err := openUDP(at, netip.AddrPort{})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	from, clock := new(sender), pin.NewClock()
	b := make([]byte, chunkBytes)
	for {
		n, errno := 0, unix.Errno(0)
		if blocks {
			n, errno = recvWait(fd, b, from)
		} else {
			n, errno = recvNow(fd, b, from)
		}
		switch errno {
		case 0:
			if work > 0 {
				spinFor(clock, work)
			}
			sendNow(fd, b[:n], &from.address) // a reply that cannot be sent is one lost
		case unix.EAGAIN, unix.EINTR:
		default:
			return fmt.Errorf("load: receive at %v: %w", at, errno)
		}
	}
}

var _ Transport = (*udpClient)(nil)
