package xdp

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

const (
	rigChunks  = 1024 // of each end's memory, as in the kernel's own tests
	rigFill    = 512  // the lower half is for receiving, the upper for sending
	rigRing    = 512
	rigBatch   = 64 // sent before the receiver looks; far below the 256 frames that veth queues
	minFrame   = 64
	rigTimeout = 2 * time.Second
	etherType  = 0x88B5
)

// newLab returns a lab without IPv6, so that nothing but the test sends.
func newLab(t testing.TB, o lab.PairOptions) *lab.Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces, XDP programs, AF_XDP sockets")
	}
	o.NoIPv6 = true
	l, err := lab.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// in runs fn in a namespace of the lab and fails the test with its error.
func in(t testing.TB, l *lab.Lab, side lab.Side, fn func() error) {
	t.Helper()
	if err := l.In(side, fn); err != nil {
		t.Fatal(err)
	}
}

// redirect loads the program that sends all frames of a queue to its socket.
func redirect(t testing.TB, queues int, frags bool) Program {
	t.Helper()
	p, err := bpf.LoadRedirect(queues, frags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// memory returns frame memory of n chunks.
func memory(t testing.TB, n, chunk int) *mem.Memory {
	t.Helper()
	m, err := mem.Create("umem", n*chunk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// end is one end of a pair with a program, a socket on queue 0, and its rings in the test's hands.
type end struct {
	t     testing.TB
	iface *Interface
	sock  *Socket
	rings dataplane.Rings
	mem   []byte
	chunk int
	next  int            // of the chunks for sending
	sent  map[uint64]int // addresses at the kernel, each as often as it was sent
}

// setup is what a test wants of an end; the zero value is a 4,096-byte chunk and full fill ring.
type setup struct {
	mode    Mode
	program Program // default: redirect
	frags   bool
	nofill  bool
	socket  SocketOptions
}

// open opens an end. Everything is closed with the test.
func open(t testing.TB, l *lab.Lab, side lab.Side, s setup) *end {
	t.Helper()
	if s.program == nil {
		s.program = redirect(t, 1, s.frags)
	}
	if s.socket.ChunkBytes == 0 {
		s.socket.ChunkBytes = MaxChunkBytes
	}
	if s.socket.Rings == (sock.Sizes{}) {
		s.socket.Rings = sock.Sizes{Fill: rigRing, Completion: rigRing, Rx: rigRing, Tx: rigRing}
	}
	e := &end{
		t: t, chunk: s.socket.ChunkBytes, sent: make(map[uint64]int),
		mem: memory(t, rigChunks, s.socket.ChunkBytes).Bytes,
	}
	in(t, l, side, func() (err error) {
		e.iface, err = Open(Options{
			Interface: l.End(side).Name, Program: s.program, Mode: s.mode,
			Frags: s.frags,
		})
		return err
	})
	t.Cleanup(func() {
		if err := e.iface.Close(); err != nil {
			t.Error(err)
		}
	})
	if e.iface.Mode() != s.mode {
		t.Fatalf("opened in %s mode, want %s", e.iface.Mode(), s.mode)
	}
	in(t, l, side, func() (err error) {
		e.sock, err = e.iface.OpenSocket(0, e.mem, s.socket)
		return err
	})
	if err := e.iface.Register(e.sock, 0); err != nil {
		t.Fatal(err)
	}
	e.rings = e.sock.Rings()
	if !s.nofill {
		e.lend(rigFill)
	}
	return e
}

// lend puts the first n chunks into the fill ring.
func (e *end) lend(n int) {
	e.t.Helper()
	n = min(n, int(e.rings.Fill.Reserve(uint32(n))))
	for i := range n {
		e.rings.Fill.Set(uint32(i), uint64(i*e.chunk))
	}
	e.rings.Fill.Submit(uint32(n))
}

// chunkToSend is the address of a chunk for sending; they come in turns.
func (e *end) chunkToSend() uint64 {
	e.next++
	return uint64((rigChunks/2 + e.next%(rigChunks/2)) * e.chunk)
}

// write makes descriptors of a packet, in as many chunks as it takes.
func (e *end) write(packet []byte) (descs []ring.Desc) {
	for len(packet) > 0 {
		at := e.chunkToSend()
		n := copy(e.mem[at:at+uint64(e.chunk)], packet)
		packet = packet[n:]
		d := ring.Desc{Addr: at, Len: uint32(n)}
		if len(packet) > 0 {
			d.Options = ring.OptionMore
		}
		descs = append(descs, d)
	}
	return descs
}

// publish puts descriptors into the tx ring without telling the kernel.
func (e *end) publish(descs []ring.Desc) {
	e.t.Helper()
	if room := e.rings.Tx.Reserve(uint32(len(descs))); int(room) < len(descs) {
		e.t.Fatalf("tx ring has room for %d of %d", room, len(descs))
	}
	for i, d := range descs {
		e.rings.Tx.Set(uint32(i), d)
		e.sent[d.Addr]++
	}
	e.rings.Tx.Submit(uint32(len(descs)))
}

// send publishes descriptors and has the kernel take them all. It returns how many completed.
func (e *end) send(descs ...ring.Desc) (completed int) {
	e.t.Helper()
	e.publish(descs)
	for start := time.Now(); ; {
		kick := e.sock.KickTx()
		completed += e.reap()
		if e.rings.Tx.Outstanding() == 0 {
			return completed
		}
		if kick == dataplane.KickDown || time.Since(start) > rigTimeout {
			e.t.Fatalf("%d descriptors not taken, last kick %d", e.rings.Tx.Outstanding(), kick)
		}
	}
}

// reap empties the completion ring. Only what was sent may complete; of invalid descriptors some
// kernels complete the address as it was, others forget it.
func (e *end) reap() int {
	n := e.rings.Completion.Waiting()
	for i := range n {
		a := e.rings.Completion.At(i)
		if e.sent[a]--; e.sent[a] < 0 {
			e.t.Errorf("completed %#x, which was not sent", a)
		}
	}
	e.rings.Completion.Release(n)
	return int(n)
}

// recv returns the next packet and gives its chunks back; nil when none comes within wait.
func (e *end) recv(wait time.Duration) []byte {
	e.t.Helper()
	p, _ := e.recvAt(wait)
	return p
}

// recvAt is recv that also tells the address of the first byte.
func (e *end) recvAt(wait time.Duration) (packet []byte, addr uint64) {
	e.t.Helper()
	deadline := time.Now().Add(wait)
	for first := true; ; {
		if e.rings.Rx.Peek(1) == 0 {
			left := time.Until(deadline)
			if left <= 0 || !pollFor(e.t, e.sock.FD(), unix.POLLIN, left) {
				if !first {
					e.t.Error("the packet has no end")
				}
				return nil, 0
			}
			continue
		}
		d := e.rings.Rx.At(0)
		e.rings.Rx.Release(1)
		if d.Addr+uint64(d.Len) > uint64(len(e.mem)) || d.Addr/uint64(e.chunk) !=
			(d.Addr+uint64(d.Len)-1)/uint64(e.chunk) || d.Len == 0 {
			e.t.Fatalf("descriptor %+v crosses a chunk or leaves the memory", d)
		}
		if first {
			addr, first = d.Addr, false
		}
		packet = append(packet, e.mem[d.Addr:d.Addr+uint64(d.Len)]...)
		e.giveBack(d.Addr)
		if d.Options&ring.OptionMore == 0 {
			return packet, addr
		}
	}
}

// giveBack lends a chunk again, if there is room.
func (e *end) giveBack(addr uint64) {
	if e.rings.Fill.Reserve(1) == 1 {
		e.rings.Fill.Set(0, addr-addr%uint64(e.chunk))
		e.rings.Fill.Submit(1)
	}
}

// statistics reads the socket's counters.
func (e *end) statistics() sock.Statistics {
	e.t.Helper()
	s, err := e.sock.Statistics()
	if err != nil {
		e.t.Fatal(err)
	}
	return s
}

// pollFor polls a descriptor and reports whether the event came.
func pollFor(t testing.TB, fd int, events int16, wait time.Duration) bool {
	t.Helper()
	ms := int(max(wait.Milliseconds(), 1))
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		n, err := unix.Poll(p, ms)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n == 1 && p[0].Revents&events != 0
	}
}

// frame is the number-th packet: an Ethernet header from one end to the other, then words that hold
// the packet's number and their own.
func frame(l *lab.Lab, from lab.Side, number, bytes int) []byte {
	p := make([]byte, bytes)
	to, self := l.End(from.Other()).MAC, l.End(from).MAC
	copy(p, to[:])
	copy(p[6:], self[:])
	binary.BigEndian.PutUint16(p[12:], etherType)
	for i := 16; i+4 <= bytes; i += 4 {
		binary.BigEndian.PutUint32(p[i:], uint32(number)<<12|uint32(i/4))
	}
	return p
}
