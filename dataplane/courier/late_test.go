package courier

import (
	"errors"
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// TestFloodStopsNoTimers: who is polled seldom, as one on a borrowed core, and never finds its ring
// empty, notices all the same that a peer is dead.
func TestFloodStopsNoTimers(t *testing.T) {
	r := newRig(t, 1500, 64)
	r.step(1000)
	if !r.up {
		t.Fatal("no session")
	}
	r.hosts.Remove(r.sides[1])
	r.call(t, make([]byte, r.size))
	o := transport.Order{Session: r.id, Deadline: core.Never}
	for end := r.now + 30*core.Second; ; r.now += 2 * core.Millisecond {
		for range 4 {
			for r.workers[1].SendRaw(wire.MAC{2}, wire.EtherTypeDunlin, make([]byte, 64)) ==
				dataplane.OK {
			}
			r.workers[1].Flush()
		}
		r.hosts.Step(r.now)
		if _, err := r.ends[0].Call(r.now, o, nil); errors.Is(err, transport.ErrGone) {
			break
		}
		if r.now > end {
			t.Fatalf("no timer fired: %+v", r.ends[0].Counters())
		}
	}
}

// TestHandshakeAskedForInAnEvent: the solver gets the job in the same turn. The next may be long
// after.
func TestHandshakeAskedForInAnEvent(t *testing.T) {
	r := newRig(t, 1500, 64)
	r.step(1000)
	peer := transport.Peer{
		Path: transport.RawPath(wire.MAC{2}, wire.MAC{2, 0, 0, 0, 0, 1}), Key: r.ends[1].Key(),
	}
	c, asked := r.pollers[0], false
	c.app = func(now core.Time, ev transport.Event) {
		if ev.Kind == transport.EventReply {
			asked = true
			if _, err := r.ends[0].Connect(now, peer); err != nil {
				t.Error(err)
			}
		}
	}
	r.call(t, make([]byte, r.size))
	if err := r.ends[0].Close(r.now, r.id); err != nil {
		t.Fatal(err)
	}
	c.Poll(r.now)
	if !asked {
		t.Fatal("the call has not ended")
	}
	if j := r.ends[0].NextJob(); j != nil {
		t.Error("a job was left behind, and nobody polls for it")
	}
}
