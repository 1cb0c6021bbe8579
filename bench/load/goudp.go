package load

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// goClient is a Transport as one writes it in Go: a net.UDPConn, one goroutine, a deadline.
type goClient struct {
	conn    *net.UDPConn
	awaited uint64 // request whose reply to wait for, Damaged if none
	payload int
	out     [chunkBytes]byte
	in      [chunkBytes]byte
}

func newGoClient(remote netip.AddrPort) (*goClient, error) {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &goClient{conn: conn}, nil
}

// SetBytes implements Transport.
func (c *goClient) SetBytes(frame int) (err error) {
	c.payload, err = udpPayload(frame)
	c.awaited = Damaged
	return err
}

// Send implements Transport.
func (c *goClient) Send(seq uint64, n int) int {
	for i := range n {
		b := c.out[:c.payload]
		putPayload(b, seq+uint64(i))
		if _, err := c.conn.Write(b); err != nil {
			return i
		}
		c.awaited = seq + uint64(i)
	}
	return n
}

// Recv implements Transport: it waits for one reply, if there is one to wait for.
func (c *goClient) Recv(dst []uint64) int {
	if c.awaited == Damaged {
		return 0
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Duration(lookAfter))); err != nil {
		return 0
	}
	n, err := c.conn.Read(c.in[:])
	if err != nil {
		return 0
	}
	dst[0] = Damaged
	if n == c.payload {
		dst[0] = checkPayload(c.in[:n])
	}
	if dst[0] == c.awaited {
		c.awaited = Damaged
	}
	return 1
}

// Close ends it.
func (c *goClient) Close() error { return c.conn.Close() }

// goServer echoes as one writes it in Go, for ever.
func goServer(at netip.AddrPort) error {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer conn.Close()
	b := make([]byte, chunkBytes)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		if _, err := conn.WriteToUDPAddrPort(b[:n], from); err != nil {
			return fmt.Errorf("load: %w", err)
		}
	}
}

var _ Transport = (*goClient)(nil)
