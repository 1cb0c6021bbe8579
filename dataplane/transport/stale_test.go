package transport

import (
	"errors"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestRequestOfAnEarlierSession answers a request whose session is over, after another one has taken
// its place. The simulator found it (seed 501425): the reply went to a call of the new session.
func TestRequestOfAnEarlierSession(t *testing.T) {
	r, a, b, sa, _ := pair(t, 0, nil)
	if _, err := a.e.Call(r.now, r.order(sa), []byte("old")); err != nil {
		t.Fatal(err)
	}
	old := b.await(EventRequest)
	if err := a.e.Close(r.now, sa); err != nil {
		t.Fatal(err)
	}
	b.await(EventDown)
	r.run(core.Second) // the place is free again
	again, _ := r.connect(a, b, 0)
	if _, err := a.e.Call(r.now, r.order(again), []byte("new")); err != nil {
		t.Fatal(err)
	}
	b.await(EventRequest)
	if err := b.e.Reply(r.now, old.Request, nil, []byte("late")); !errors.Is(err, ErrGone) {
		t.Errorf("a reply to a request of an earlier session: %v", err)
	}
}

// TestBulkAfterWhatLackedCredit gives up a call for which there was no credit, and expects the next
// one, for which there is, to go at once. The simulator found it (seed 100581).
func TestBulkAfterWhatLackedCredit(t *testing.T) {
	const credit = 64 << 10 // of a lane
	r, a, b, sa, _ := pair(t, 0, func(c *Config) { c.Lanes, c.PeerBytes = 2, 2*credit })
	b.stopped = true
	call := func(within core.Time, n int) {
		t.Helper()
		o := Order{Session: sa, Deadline: r.now + within}
		if _, err := a.e.Call(r.now, o, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		r.run(2 * core.Millisecond)
	}
	l := a.e.find(sa).lanes[0]
	call(core.Second, 7000)
	used := l.used
	call(core.Millisecond, 33_000) // takes all of the credit, of which some is used
	if l.used != used {
		t.Fatalf("%d bytes of credit used, %d before", l.used, used)
	}
	call(core.Second, 7000)
	if l.used <= used {
		t.Error("a call waits for credit that is there")
	}
}

// TestRepairsLeaveRoomForNewParts has a peer with memory for few of the large calls under way, which
// refuses the first parts of the others, and a sender with a window of one frame. If repairs alone
// went, the calls that have memory would never get their last parts and give it back. The simulator
// found it (seed 1795940535115).
func TestRepairsLeaveRoomForNewParts(t *testing.T) {
	const calls, bytes, room = 20, 6000, 8192 // of a buffer
	few := func(c *Config) { c.PeerBytes, c.MemoryBytes = 2*calls*room, 2*calls*room }
	r := newRig(t)
	a := r.add(few)
	b := r.add(func(c *Config) { few(c); c.MemoryBytes = 5 * room })
	sa, _ := r.connect(a, b, 0)
	b.serve = echo
	for range 20 {
		mustCall(r, a, sa, 64)
	}
	c := &a.e.find(sa).lanes[0].congestion
	c.slow, c.window = false, c.frame
	for range calls {
		if _, err := a.e.Call(r.now, r.order(sa), pattern(bytes, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for range calls {
		if ev := a.await(EventReply); ev.Outcome != Done {
			t.Fatalf("a call was %v, by %v", ev.Outcome, ev.Cause)
		}
	}
}

// TestLostProbeOfTheMTUEndsNoSession is an idle session over a path that does not carry what both
// ends have: each try for larger frames is lost, and nothing is sent again. The simulator found it
// (seed 1795943355118): the session waited for an answer to what was lost, and was given up as dead.
func TestLostProbeOfTheMTUEndsNoSession(t *testing.T) {
	r := newRig(t)
	a, b := r.add(func(c *Config) { c.MTU = 9000 }), r.add(func(c *Config) { c.MTU = 9000 })
	r.watch = func(_ *side, frame []byte) []byte {
		if len(frame) > defaultMTU+wire.EthernetBytes {
			return nil
		}
		return frame
	}
	id, _ := r.connect(a, b, 0)
	b.serve = echo
	mustCall(r, a, id, 64)
	r.run(2*probeAgain + 2*defaultDeadAfter)
	if got := a.e.find(id); got == nil || got.state != sessionOpen || a.e.Counters().Dead != 0 {
		t.Errorf("session %+v, %d given up as dead", got, a.e.Counters().Dead)
	}
}

// TestLostSignOfLifeIsAskedForAgain loses the question of an idle session whether its peer lives, and
// all probes until its time-out.
func TestLostSignOfLifeIsAskedForAgain(t *testing.T) {
	r, a, b, id, _ := pair(t, 0, nil)
	b.serve = echo
	mustCall(r, a, id, 64)
	a.lose(1)
	b.lose(1)
	r.run(keepAlive + 100*core.Millisecond)
	a.lose(0)
	b.lose(0)
	r.run(2 * defaultDeadAfter)
	if a.e.find(id) == nil || a.e.Counters().Dead+b.e.Counters().Dead != 0 {
		t.Error("given up as dead, and it lives")
	}
	if a.e.Counters().Timeouts+b.e.Counters().Timeouts == 0 {
		t.Error("the question was not lost")
	}
}

// TestNumbersOfALaneThatThePeerLacks: a call in a lane that the peer turns out not to have ends, and
// its number is none of a call of the session that takes the place.
func TestNumbersOfALaneThatThePeerLacks(t *testing.T) {
	r := newRig(t)
	a := r.add(func(c *Config) { c.Lanes = 2 })
	b, c := r.add(nil), r.add(func(c *Config) { c.Lanes = 2 })
	call := func(to *side) (SessionID, CallID) {
		t.Helper()
		s, err := a.e.Connect(r.now, Peer{Path: a.path(to, 0), Key: to.key})
		if err != nil {
			t.Fatal(err)
		}
		o := r.order(s)
		o.Lane = 1
		id, err := a.e.Call(r.now, o, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		a.await(EventUp)
		return s, id
	}
	s, old := call(b)
	if ev := a.await(EventReply); ev.Call != old || ev.Outcome != Failed {
		t.Errorf("%+v", ev)
	}
	if err := a.e.Close(r.now, s); err != nil {
		t.Fatal(err)
	}
	a.await(EventDown)
	r.run(core.Second)
	if _, fresh := call(c); fresh == old {
		t.Errorf("call %#x comes twice", uint64(fresh))
	}
	if err := a.e.Cancel(r.now, old); !errors.Is(err, ErrGone) {
		t.Errorf("the call of a session before: %v", err)
	}
}
