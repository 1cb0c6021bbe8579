package daemon

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
)

// traffic is a plain UDP client in namespace A that never stops asking, whether anybody answers.
type traffic struct {
	conn    net.Conn
	replies atomic.Uint64
	ended   sync.WaitGroup
}

// trafficPause is between two datagrams: thousands a second, and time for others on a small
// machine.
const trafficPause = 100 * time.Microsecond

// startTraffic starts one to a port of end B; it ends with the test, or by stop.
func startTraffic(t *testing.T, l *lab.Lab, port uint16) *traffic {
	t.Helper()
	c := &traffic{conn: dial(t, l, netip.AddrPortFrom(l.End(lab.B).IPv4, port))}
	c.ended.Go(func() {
		for b := make([]byte, 64); ; time.Sleep(trafficPause) {
			if _, err := c.conn.Write(b); err != nil {
				return // closed: nobody refuses, since the iokernel guards the port
			}
		}
	})
	c.ended.Go(func() {
		for b := make([]byte, 64); ; c.replies.Add(1) {
			if _, err := c.conn.Read(b); err != nil {
				return
			}
		}
	})
	t.Cleanup(c.stop)
	return c
}

func (c *traffic) stop() {
	c.conn.Close()
	c.ended.Wait()
}

// dial opens a connected UDP socket in A.
func dial(t *testing.T, l *lab.Lab, to netip.AddrPort) net.Conn {
	t.Helper()
	var conn net.Conn
	in(t, l, lab.A, func() (err error) {
		conn, err = net.Dial("udp", to.String())
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	awaitFor(t, quietTimeout, what, so)
}

// awaitIdle waits for something that a thread with what others leave of a CPU has to do.
func awaitIdle(t *testing.T, what string, so func() bool) {
	t.Helper()
	awaitFor(t, 6*quietTimeout, what, so)
}

func awaitFor(t *testing.T, most time.Duration, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(start) > most {
			t.Fatalf("not within %v: %s", most, what)
		}
	}
}
