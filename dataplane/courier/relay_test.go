package courier

import (
	"runtime"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestRelayedTurnIsBounded: a full relay costs a thread no more than a burst before it can leave its
// core, and Next has it come back for the rest: nobody wakes it for that.
func TestRelayedTurnIsBounded(t *testing.T) {
	r := newRigOf(t, 1500, 64, true)
	r.step(1000)
	if !r.up {
		t.Fatal("no session")
	}
	r.hosts.Remove(r.sides[1])
	for range relayed {
		r.call(t, make([]byte, r.size))
		r.step(1)
	}
	c := r.pollers[1]
	q := c.from[0]
	if !q.waiting() || q.tail.Load()-q.head.Load() <= relayedTurn {
		t.Fatalf("%d packets wait: too few", q.tail.Load()-q.head.Load())
	}
	for turns := 0; q.waiting(); turns++ {
		if c.Next(r.now) > r.now {
			t.Fatalf("%d packets wait until %d", q.tail.Load()-q.head.Load(), c.Next(r.now))
		}
		before := q.head.Load()
		c.Poll(r.now)
		if n := q.head.Load() - before; n == 0 || n > relayedTurn {
			t.Fatalf("%d packets in a turn, want 1 to %d", n, relayedTurn)
		}
	}
}

// spring is a link at which a packet comes in each time that somebody looks.
type spring struct{ cache *dataplane.Cache }

func (s spring) Recv(dst []dataplane.Frame) int {
	index, ok := s.cache.Alloc()
	if !ok {
		return 0
	}
	b := s.cache.Pool().Chunk(index)
	wire.PutEthernet(b, wire.MAC{2}, wire.MAC{4}, wire.EtherTypeDunlin)
	dst[0] = dataplane.Frame{Index: index, Len: wire.EthernetBytes + 8}
	return 1
}

func (s spring) Send(src []dataplane.Frame) int { return len(src) }
func (s spring) Flush()                         {}
func (s spring) Pending() bool                  { return true }

// TestRelayForgetsNothing: a reader that sleeps unless it was woken, or has said that it wants
// another turn, sees all that a writer on another thread puts in, however both meet.
func TestRelayForgetsNothing(t *testing.T) {
	const packets = 300_000
	r := newRigOf(t, 1500, 64, false)
	c, now := r.pollers[1], r.now
	from, err := dataplane.NewWorker(spring{r.second.Cache()}, r.second.Cache(),
		dataplane.WorkerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	woken, done := make(chan struct{}, 1), make(chan struct{})
	if err := c.Relay(from, func() {
		select {
		case woken <- struct{}{}:
		default: // it was, and has not looked since
		}
	}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(done)
		for i := range packets {
			from.Poll(core.Time(i))
			if i%relayed == 0 {
				runtime.Gosched()
			}
		}
	}()
	sleeps := 0
	for ended := false; !ended; sleeps++ {
		select {
		case <-woken:
		case <-done:
			if ended = len(woken) == 0; !ended {
				<-woken
			}
		}
		for again := !ended; again; again = c.Next(now) <= now {
			c.Poll(now)
		}
	}
	if c.left() {
		t.Error("packets wait, and nobody was woken")
	}
	if c.came == 0 || sleeps < 2 {
		t.Errorf("%d packets came, it slept %d times", c.came, sleeps)
	}
}
