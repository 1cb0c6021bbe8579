package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
)

// Ports of the others.
const (
	portTCPEcho = 7101
	portOther   = 7102
)

// upRPCTCP is calls over a TCP connection as one writes them in Go: a process at each end.
func upRPCTCP(s *site) ([]*entrant, error) {
	p, err := s.pair("tcp")
	if err != nil {
		return nil, err
	}
	server, err := s.kernelPeer(p, nameRPCTCP, peerTCPEcho, portTCPEcho)
	if err != nil {
		return nil, err
	}
	client, err := s.peer(peer{
		Kind: peerTCPClient, At: at(p, portTCPEcho), Samples: s.o.samples(),
	}, birth{
		name: nameRPCTCP + " client", cpu: s.cpus.generator, uid: nobody, input: true,
		inside: s.in(lab.A),
	})
	if err != nil {
		return nil, err
	}
	return []*entrant{{nameRPCTCP, []*child{server, client}, map[report.Loop]driver{
		report.Closed: newRemoteDriver(client),
	}}}, nil
}

// tcpEcho sends back what it reads, on one connection after the other.
func tcpEcho(at netip.AddrPort) error {
	listener, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	defer listener.Close()
	b := make([]byte, chunkBytes)
	for {
		c, err := listener.AcceptTCP()
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		for err == nil {
			var n int
			if n, err = c.Read(b); n > 0 && err == nil {
				_, err = c.Write(b[:n])
			}
		}
		if err := c.Close(); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("load: %w", err)
		}
	}
}

func (p *peer) tcpClient() error {
	var conn net.Conn
	var err error
	for start := time.Now(); ; time.Sleep(answerPause) {
		if conn, err = net.Dial("tcp4", p.At.String()); err == nil {
			break
		}
		if time.Since(start) > answerPatience {
			return fmt.Errorf("load: %w", err)
		}
	}
	defer conn.Close()
	c := &streamClient{conn: conn, awaited: Damaged}
	return serve(os.Stdin, os.Stdout, goDriver{NewGenerator(c, p.Samples)})
}

// streamClient is a Transport over a connection: one call at a time.
type streamClient struct {
	conn    net.Conn
	awaited uint64 // call whose reply to wait for, Damaged if none
	payload int
	read    int // bytes of the reply
	out, in [chunkBytes]byte
}

// SetBytes implements Transport.
func (c *streamClient) SetBytes(n int) error {
	if n < minPayload || n > chunkBytes {
		return fmt.Errorf("load: calls of %d bytes: want %d to %d", n, minPayload, chunkBytes)
	}
	c.payload = n
	return nil
}

// Send implements Transport.
func (c *streamClient) Send(seq uint64, n int) int {
	if n == 0 || c.awaited != Damaged {
		return 0
	}
	b := c.out[:c.payload]
	putPayload(b, seq)
	if _, err := c.conn.Write(b); err != nil {
		return 0
	}
	c.awaited, c.read = seq, 0
	return 1
}

// Recv implements Transport: it waits for one reply, if there is one to wait for.
func (c *streamClient) Recv(dst []uint64) int {
	if c.awaited == Damaged {
		return 0
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(time.Duration(lookAfter))); err != nil {
		return 0
	}
	n, err := io.ReadFull(c.conn, c.in[c.read:c.payload])
	if c.read += n; err != nil {
		return 0
	}
	dst[0], c.awaited = checkPayload(c.in[:c.payload]), Damaged
	return 1
}

var _ Transport = (*streamClient)(nil)
