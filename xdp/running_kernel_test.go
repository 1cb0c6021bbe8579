package xdp

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// TestQueues: what is sent on a queue of one end arrives on that queue of the other, if the program
// runs in the driver. Generic XDP on veth takes the number of the sender's queue for one that
// counts from 1.
func TestQueues(t *testing.T) {
	const queues = 3
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{Queues: queues})
			var ends [2][queues]end
			for _, side := range []lab.Side{lab.A, lab.B} {
				e := open(t, l, side, setup{mode: mode, program: redirect(t, queues, false)})
				ends[side][0] = *e
				for q := 1; q < queues; q++ {
					x := end{
						t: t, iface: e.iface, chunk: e.chunk, sent: make(map[uint64]int),
						mem: memory(t, rigChunks, e.chunk).Bytes,
					}
					in(t, l, side, func() (err error) {
						x.sock, err = e.iface.OpenSocket(q, x.mem, SocketOptions{})
						return err
					})
					if err := e.iface.Register(x.sock, q); err != nil {
						t.Fatal(err)
					}
					x.rings = x.sock.Rings()
					x.lend(rigFill)
					ends[side][q] = x
				}
			}
			for q := range queues {
				to := q
				if mode == Generic {
					to = max(q-1, 0)
				}
				stream(t, l, &ends[lab.A][q], &ends[lab.B][to], lab.A, 0, 256, minFrame)
			}
			for q := range queues {
				if ends[lab.B][q].rings.Rx.Any() {
					t.Errorf("queue %d has a frame of another one", q)
				}
			}
		})
	}
}

// TestBusyPoll is the kernel's busy-poll variant of SEND_RECEIVE.
func TestBusyPoll(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	s := setup{mode: Native, socket: SocketOptions{BusyPoll: BusyPoll{Microseconds: 20}}}
	a, b := open(t, l, lab.A, s), open(t, l, lab.B, s)
	if got := b.iface.Fallbacks(); len(got) != 1 || got[0].Wanted != "zero-copy" {
		t.Errorf("%q", got)
	}
	for n := 0; n < 1024; n += rigBatch {
		b.sock.KickRx()
		stream(t, l, a, b, lab.A, n, n+rigBatch, minFrame)
	}
}

// TestDownAndUp: an interface that is set down is reported, and works again when set up.
func TestDownAndUp(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			a, b := open(t, l, lab.A, setup{mode: mode}), open(t, l, lab.B, setup{mode: mode})
			stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
			for range 2 {
				if err := l.Pair().SetUp(lab.A, false); err != nil {
					t.Fatal(err)
				}
				if kick := a.sock.KickTx(); kick != dataplane.KickDown {
					t.Errorf("a kick while down: %d", kick)
				}
				in(t, l, lab.A, func() error {
					if f, err := Probe(l.End(lab.A).Name); err != nil || f.Up {
						t.Errorf("%+v, %v", f, err)
					}
					return nil
				})
				if err := l.Pair().SetUp(lab.A, true); err != nil {
					t.Fatal(err)
				}
				awaitFlow(t, l, a, b)
				stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
			}
		})
	}
}

// awaitFlow sends until something arrives: carrier takes some milliseconds.
func awaitFlow(t *testing.T, l *lab.Lab, a, b *end) {
	t.Helper()
	for start := time.Now(); ; {
		a.send(a.write(frame(l, lab.A, 0, minFrame))...)
		if b.recv(5*time.Millisecond) != nil {
			break
		}
		if time.Since(start) > rigTimeout {
			t.Fatal("nothing arrives")
		}
	}
	for b.recv(5*time.Millisecond) != nil {
	}
}

// TestOpenWhileDown: everything can be opened first, and runs once the interface is up.
func TestOpenWhileDown(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			if err := l.Pair().SetUp(lab.B, false); err != nil {
				t.Fatal(err)
			}
			a, b := open(t, l, lab.A, setup{mode: mode}), open(t, l, lab.B, setup{mode: mode})
			if err := l.Pair().SetUp(lab.B, true); err != nil {
				t.Fatal(err)
			}
			awaitFlow(t, l, a, b)
			stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
		})
	}
}

// TestDeletedWhileRunning: kicks say so, and closing finds nothing wrong. Polling says nothing,
// which is why whoever parks must have another way to hear of it.
func TestDeletedWhileRunning(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		t.Run(mode.String(), func(t *testing.T) {
			l := newLab(t, lab.PairOptions{})
			a, b := open(t, l, lab.A, setup{mode: mode}), open(t, l, lab.B, setup{mode: mode})
			stream(t, l, a, b, lab.A, 0, rigBatch, minFrame)
			if err := l.Pair().Remove(); err != nil {
				t.Fatal(err)
			}
			for _, e := range []*end{a, b} {
				if kick := e.sock.KickTx(); kick != dataplane.KickDown {
					t.Errorf("a kick of what is gone: %d", kick)
				}
				e.sock.KickRx()
				if pollFor(t, e.sock.FD(), unix.POLLIN|unix.POLLERR, time.Millisecond) {
					t.Error("polling told; then FD can promise more")
				}
				if _, err := e.sock.Statistics(); err != nil {
					t.Error(err)
				}
			}
			closeEnds(t, a, b)
		})
	}
}

// portEnd is an end worked by a port.
type portEnd struct {
	*end
	pool  *dataplane.Pool
	cache *dataplane.Cache
	port  *dataplane.Port
	burst []dataplane.Frame
}

func openPort(t testing.TB, l *lab.Lab, side lab.Side, s setup) *portEnd {
	t.Helper()
	s.nofill = true
	p := &portEnd{end: open(t, l, side, s), burst: make([]dataplane.Frame, dataplane.MaxBurst)}
	var err error
	p.pool, err = dataplane.NewPool(p.mem, dataplane.PoolConfig{ChunkBytes: p.chunk, Caches: 1})
	if err != nil {
		t.Fatal(err)
	}
	if p.cache, err = p.pool.Cache(); err != nil {
		t.Fatal(err)
	}
	if p.port, err = p.sock.Port(p.cache, dataplane.PortConfig{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// audit checks that every chunk is somewhere, once.
func (p *portEnd) audit(held int) {
	p.t.Helper()
	lent := p.port.Lent()
	if n := p.pool.Stored() + p.cache.Count() + lent.Rx + lent.Tx + held; n != p.pool.Chunks() {
		p.t.Errorf("%d chunks of %d: %d stored, %d cached, lent %+v, %d held", n, p.pool.Chunks(),
			p.pool.Stored(), p.cache.Count(), lent, held)
	}
	if p.port.Broken() || p.port.Counters().BadDescriptors != 0 {
		p.t.Errorf("broken %t, %+v", p.port.Broken(), p.port.Counters())
	}
}

// turn sends back what came, and reports how many frames that were.
func (p *portEnd) turn() int {
	n := p.port.Recv(p.burst)
	p.cache.FreeAll(p.burst[p.port.Send(p.burst[:n]):n])
	p.port.Flush()
	return n
}

// TestPortsOverKernel bounces bursts of all sizes between two ports and loses neither packet nor
// chunk.
func TestPortsOverKernel(t *testing.T) {
	for _, mode := range []Mode{Native, Generic} {
		for _, chunk := range []int{MinChunkBytes, MaxChunkBytes} {
			t.Run(fmt.Sprintf("%s/%d", mode, chunk), func(t *testing.T) {
				l := newLab(t, lab.PairOptions{})
				s := setup{mode: mode, socket: SocketOptions{ChunkBytes: chunk}}
				a, b := openPort(t, l, lab.A, s), openPort(t, l, lab.B, s)
				for round := range 50 {
					size := 1 + round%dataplane.MaxBurst
					for i := range size {
						index, ok := a.cache.Alloc()
						if !ok {
							t.Fatal("no chunk")
						}
						p := frame(l, lab.A, round*64+i, minFrame+round*20)
						n := copy(a.pool.Chunk(index), p)
						a.burst[i] = dataplane.Frame{Index: index, Len: uint16(n)}
					}
					if sent := a.port.Send(a.burst[:size]); sent != size {
						t.Fatalf("sent %d of %d", sent, size)
					}
					a.port.Flush()
					expect(t, l, a, b, round, size)
				}
				a.audit(0)
				b.audit(0)
				if c := a.port.Counters(); c.RxPackets != c.TxFrames || c.RxPackets != 50*51/2 {
					t.Errorf("%+v", c)
				}
			})
		}
	}
}

// expect has b return what a sent, and checks what comes back to a.
func expect(t *testing.T, l *lab.Lab, a, b *portEnd, round, size int) {
	t.Helper()
	for got, start := 0, time.Now(); got < size; {
		b.turn()
		n := a.port.Recv(a.burst)
		for _, f := range a.burst[:n] {
			want := frame(l, lab.A, round*64+got, minFrame+round*20)
			if !bytes.Equal(a.pool.Bytes(f), want) {
				t.Fatalf("round %d: packet %d came back wrong", round, got)
			}
			got++
		}
		a.cache.FreeAll(a.burst[:n])
		if time.Since(start) > rigTimeout {
			t.Fatalf("round %d: %d of %d came back, %+v", round, got, size, b.statistics())
		}
	}
}

// TestRoundTripAllocatesNothing through the kernel, both ends on one thread.
func TestRoundTripAllocatesNothing(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	a, b := openPort(t, l, lab.A, setup{mode: Native}), openPort(t, l, lab.B, setup{mode: Native})
	index, _ := a.cache.Alloc()
	n := copy(a.pool.Chunk(index), frame(l, lab.A, 1, minFrame))
	a.burst[0] = dataplane.Frame{Index: index, Len: uint16(n)}
	a.port.Send(a.burst[:1])
	a.port.Flush()
	round := func() {
		for limit := 1 << 20; b.turn() == 0 && limit > 0; limit-- {
		}
		for limit := 1 << 20; a.turn() == 0 && limit > 0; limit-- {
		}
	}
	if got := testing.AllocsPerRun(1000, round); got != 0 {
		t.Errorf("%v allocations a round trip", got)
	}
	if c := a.port.Counters(); c.RxPackets < 1000 {
		t.Errorf("the frame was lost: %+v", c)
	}
}

// TestTransmitBudget: a ring smaller than the budget lowers it, a socket without one has none.
func TestTransmitBudget(t *testing.T) {
	l := newLab(t, lab.PairOptions{})
	small := sock.Sizes{Fill: 64, Completion: 64, Rx: 64, Tx: 32}
	e := open(t, l, lab.A, setup{mode: Native, socket: SocketOptions{Rings: small}})
	if got := e.sock.TxBudget(); got != 32 {
		t.Errorf("a ring of 32 has a budget of %d", got)
	}
	none := sock.Sizes{Fill: 64, Completion: 64, Rx: 64}
	e = open(t, l, lab.B, setup{mode: Native, socket: SocketOptions{Rings: none}})
	if got := e.sock.TxBudget(); got != 0 {
		t.Errorf("a socket without tx ring has a budget of %d", got)
	}
}
