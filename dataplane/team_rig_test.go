package dataplane_test

import (
	"encoding/binary"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// flowsPerPort is how many flows a side plays on its port.
const flowsPerPort = 4

// side is one port of a team: the kernel on its far side, and a handler that expects each flow's
// packets in order. Packets carry a flow and a number in it.
type side struct {
	kernel
	t       testing.TB
	port    *dataplane.Port
	worker  *dataplane.Worker
	next    [flowsPerPort]uint32 // to deliver
	handled [flowsPerPort]uint32 // by the handler, which has no lock
	left    [flowsPerPort]uint32 // replies that left
	replies int
	blocked bool                     // the kernel takes nothing
	during  func(*dataplane.Request) // in the handler
}

// newTeam makes n workers with a port each over one pool.
func newTeam(t testing.TB, n int, wc dataplane.WorkerConfig, tc dataplane.TeamConfig) (
	*dataplane.Team, []*side, *dataplane.Pool,
) {
	t.Helper()
	l, err := dataplane.NewLayout(dataplane.LayoutConfig{
		Workers: n, RingEntries: 64, ChunkBytes: 2048, Chunks: 128 * n,
	})
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, l.Bytes)
	pool, err := dataplane.NewPool(l.FrameMemory(mem),
		dataplane.PoolConfig{ChunkBytes: 2048, Caches: n})
	if err != nil {
		t.Fatal(err)
	}
	sides := make([]*side, n)
	workers := make([]*dataplane.Worker, n)
	for i := range sides {
		sides[i] = newSide(t, l, mem, pool, i, wc)
		workers[i] = sides[i].worker
	}
	team, err := dataplane.NewTeam(workers, tc)
	if err != nil {
		t.Fatal(err)
	}
	return team, sides, pool
}

func newSide(t testing.TB, l dataplane.Layout, mem []byte, pool *dataplane.Pool, i int,
	c dataplane.WorkerConfig,
) *side {
	t.Helper()
	near, err := l.Rings(mem, i)
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.FarRings(mem, i)
	if err != nil {
		t.Fatal(err)
	}
	s := &side{kernel: kernel{mem: l.FrameMemory(mem), far: far}, t: t}
	s.far.Tx.SetNeedWakeup(true)
	cache, err := pool.Cache()
	if err != nil {
		t.Fatal(err)
	}
	if s.port, err = dataplane.NewPort(near, cache, s, dataplane.PortConfig{}); err != nil {
		t.Fatal(err)
	}
	if s.worker, err = dataplane.NewWorker(s.port, cache, c); err != nil {
		t.Fatal(err)
	}
	if err := s.worker.HandleRaw(wire.EtherTypeDunlin, s.handle); err != nil {
		t.Fatal(err)
	}
	return s
}

// deliverFlow has the next packet of a flow arrive; false if there is no room.
func (s *side) deliverFlow(flow int) bool {
	if !s.stage(0, 1, 60, 0) {
		return false
	}
	b := s.mem[s.last[0]:][:60]
	wire.PutEthernet(b, serverMAC, clientMAC, wire.EtherTypeDunlin)
	b[wire.EthernetBytes] = byte(flow)
	binary.BigEndian.PutUint32(b[wire.EthernetBytes+1:], s.next[flow])
	s.next[flow]++
	s.far.Rx.Submit(1)
	return true
}

// deliverSome has n packets arrive, of the flows in turn.
func (s *side) deliverSome(n int) {
	s.t.Helper()
	for i := range n {
		if !s.deliverFlow(i % flowsPerPort) {
			s.t.Fatalf("packet %d of %d does not fit", i, n)
		}
	}
}

// expect checks that a packet is the next one of its flow.
func expect(t testing.TB, what string, payload []byte, next *[flowsPerPort]uint32) {
	flow, number := payload[0], binary.BigEndian.Uint32(payload[1:])
	if int(flow) >= flowsPerPort || number != next[flow] {
		t.Errorf("%s: packet %d of flow %d", what, number, flow)
		return
	}
	next[flow]++
}

func (s *side) handle(r *dataplane.Request) {
	expect(s.t, "handled", r.Payload(), &s.handled)
	if s.during != nil {
		s.during(r)
	}
	r.Turn()
}

// KickTx makes a side the doorbell of its port.
func (s *side) KickTx() dataplane.Kick {
	if s.blocked {
		return dataplane.KickBlocked
	}
	n := s.far.Tx.Waiting()
	for i := range n {
		d := s.far.Tx.At(i)
		expect(s.t, "left", s.mem[d.Addr+wire.EthernetBytes:], &s.left)
		s.replies++
		s.flight = append(s.flight, d.Addr)
		if d.Options&ring.OptionMore != 0 {
			s.t.Errorf("a reply of several frames")
		}
	}
	s.far.Tx.Release(n)
	s.complete(len(s.flight))
	return dataplane.KickDone
}

// auditTeam checks that every chunk is in exactly one place.
func auditTeam(t testing.TB, pool *dataplane.Pool, sides []*side) {
	t.Helper()
	sum := pool.Stored()
	for _, s := range sides {
		l := s.port.Lent()
		sum += s.port.Cache().Count() + l.Rx + l.Tx + s.worker.Held()
	}
	if sum != pool.Chunks() {
		t.Fatalf("%d chunks are accounted for, there are %d", sum, pool.Chunks())
	}
}

// turns polls a seat so many times and returns its work.
func turns(s *dataplane.Seat, n int) (work int) {
	for range n {
		work += s.Poll(1)
	}
	return work
}

// teller is a Telltale that keeps what it was told.
type teller struct {
	began  core.Time
	busy   bool
	calls  int // of Begin and End
	tasks  int
	oldest core.Time
	due    core.Time
	heard  int
}

func (l *teller) Begin(now core.Time) { l.began, l.busy, l.calls = now, true, l.calls+1 }
func (l *teller) End()                { l.busy, l.calls = false, l.calls+1 }
func (l *teller) Heard()              { l.heard++ }

func (l *teller) Queue(tasks int, oldest, due core.Time) {
	l.tasks, l.oldest, l.due = tasks, oldest, due
}
