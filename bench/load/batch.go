package load

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// batchClient is a Transport over a connected UDP socket of the kernel that sends and receives a
// burst in one system call: what a program does that wants throughput.
type batchClient struct {
	fd      int
	payload int
	out, in *batch
}

func newBatchClient(local, remote netip.AddrPort) (*batchClient, error) {
	fd, err := openUDP(local, remote)
	if err != nil {
		return nil, err
	}
	return &batchClient{fd: fd, out: newBatch(false), in: newBatch(false)}, nil
}

// SetBytes implements Transport.
func (c *batchClient) SetBytes(frame int) (err error) {
	if c.payload, err = udpPayload(frame); err != nil {
		return err
	}
	for i := range burst {
		c.out.setBytes(i, c.payload)
	}
	return nil
}

// Send implements Transport.
func (c *batchClient) Send(seq uint64, n int) int {
	n = min(n, burst)
	for i := range n {
		putPayload(c.out.packets[i][:c.payload], seq+uint64(i))
	}
	sent, _ := c.out.send(c.fd, n) // what was refused is tried again
	return sent
}

// Recv implements Transport.
func (c *batchClient) Recv(dst []uint64) int {
	n, errno := c.in.recv(c.fd)
	if errno != 0 {
		return 0
	}
	for i := range n {
		dst[i] = Damaged
		if b := c.in.packet(i); len(b) == c.payload {
			dst[i] = checkPayload(b)
		}
	}
	return n
}

// Close ends it.
func (c *batchClient) Close() error { return unix.Close(c.fd) }

// batchServer echoes bursts on a UDP socket, polling, for ever.
func batchServer(at netip.AddrPort) error {
	fd, err := openUDP(at, netip.AddrPort{})
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := newBatch(true)
	for {
		n, errno := b.recv(fd)
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR:
			continue
		default:
			return fmt.Errorf("load: receive at %v: %w", at, errno)
		}
		for i := range n {
			b.setBytes(i, len(b.packet(i)))
		}
		b.send(fd, n) // a reply that cannot be sent is one lost
	}
}

var _ Transport = (*batchClient)(nil)
