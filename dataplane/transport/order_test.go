package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// writeTo begins a write of n bytes of one value.
func writeTo(r *rig, a *side, s SessionID, lane uint8, region RegionID, at uint64, n int, v byte) {
	r.t.Helper()
	o := r.order(s)
	o.Lane, o.Tag = lane, uint64(v)
	data := bytes.Repeat([]byte{v}, n)
	if _, err := a.e.Write(r.now, o, Target{Region: region, Offset: at}, data); err != nil {
		r.t.Fatal(err)
	}
}

// TestOverlappingWritesOfTwoLanes: a write waits for an earlier one of another lane, and is woken
// when that is over, though its own lane hears nothing.
func TestOverlappingWritesOfTwoLanes(t *testing.T) {
	for _, later := range []int{64, 50_000} { // small, bulk
		r, a, b, sa, sb := pair(t, 0, func(c *Config) { c.Lanes = 2 })
		memory := make([]byte, 100_000)
		region, err := b.e.Register(sb, memory, RightWrite)
		if err != nil {
			t.Fatal(err)
		}
		r.run(100 * core.Millisecond) // nothing of the handshake is left to do
		begin := r.now
		writeTo(r, a, sa, 0, region, 0, 100_000, 1)
		writeTo(r, a, sa, 1, region, 100, later, 2)
		for want := range 2 {
			if ev := a.await(EventWritten); ev.Outcome != Done || ev.Tag != uint64(want+1) {
				t.Errorf("a write of %d bytes behind another: %+v", later, ev)
			}
		}
		if took := r.now - begin; took > 10*core.Millisecond {
			t.Errorf("the later write, of %d bytes, took %d us", later, took/core.Microsecond)
		}
		want := bytes.Repeat([]byte{1}, len(memory))
		copy(want[100:], bytes.Repeat([]byte{2}, later))
		if !bytes.Equal(memory, want) {
			t.Errorf("the write of %d bytes was issued last and is not on top", later)
		}
	}
}

// TestCallsPassAWriteThatWaits: a small write that waits for a large one that it overlaps holds
// nothing else up.
func TestCallsPassAWriteThatWaits(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	a.rate, b.rate = 1e8, 1e8
	memory := make([]byte, 2_000_000)
	region, err := b.e.Register(sb, memory, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	b.serve = echo
	r.run(100 * core.Millisecond)
	writeTo(r, a, sa, 0, region, 0, len(memory), 1) // 20 ms
	writeTo(r, a, sa, 0, region, 0, 64, 2)
	begin := r.now
	if _, err := a.e.Call(r.now, r.order(sa), pattern(64, 0)); err != nil {
		t.Fatal(err)
	}
	if ev := a.await(EventReply); ev.Outcome != Done {
		t.Errorf("%+v", ev)
	}
	if took := r.now - begin; took > 2*core.Millisecond {
		t.Errorf("a small call took %d us behind a write that waits", took/core.Microsecond)
	}
	for range 2 {
		if ev := a.await(EventWritten); ev.Outcome != Done {
			t.Errorf("%+v", ev)
		}
	}
	if memory[0] != 2 || memory[63] != 2 || memory[64] != 1 {
		t.Error("the writes are in the wrong order")
	}
}

// TestChangedSourceIsSentAsItWas: the caller changes its bytes as soon as Write has returned, and
// what is lost and sent again is what it gave.
func TestChangedSourceIsSentAsItWas(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	memory := make([]byte, 100_000)
	region, err := b.e.Register(sb, memory, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	a.lose(0.2)
	data := pattern(len(memory), 3)
	o := r.order(sa)
	o.Deadline = r.now + 20*core.Second
	if _, err := a.e.Write(r.now, o, Target{Region: region}, data); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if ev := a.await(EventWritten); ev.Outcome != Done {
		t.Fatalf("%+v", ev)
	}
	if !bytes.Equal(memory, pattern(len(memory), 3)) {
		t.Error("what was sent again is not what was given")
	}
	if a.e.Counters().Resent == 0 {
		t.Error("nothing was sent again")
	}
}

// TestNothingIsAppliedAfterAnAbandonment: frames of a write that was given up, and that come once the
// peer has heard of that, write nothing.
func TestNothingIsAppliedAfterAnAbandonment(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	memory := make([]byte, 100_000)
	region, err := b.e.Register(sb, memory, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	var kept [][]byte
	keep := true
	r.watch = func(from *side, frame []byte) []byte {
		if from == a && keep && len(frame) > 1000 {
			kept = append(kept, frame)
			return nil
		}
		return frame
	}
	id, err := a.e.Write(r.now, r.order(sa), Target{Region: region}, pattern(len(memory), 3))
	if err != nil {
		t.Fatal(err)
	}
	r.run(core.Millisecond)
	if err := a.e.CancelWrite(r.now, id); err != nil {
		t.Fatal(err)
	}
	if ev := a.await(EventWritten); ev.Outcome != Failed || ev.Cause != CauseCanceled {
		t.Errorf("%+v", ev)
	}
	keep = false
	r.run(10 * core.Millisecond)
	before := bytes.Clone(memory)
	if len(kept) == 0 {
		t.Fatal("no frame was kept")
	}
	for _, f := range kept {
		if reason := b.e.HandleFrame(r.now, f); reason != OK {
			t.Errorf("a late frame: %v", reason)
		}
	}
	if !bytes.Equal(memory, before) || b.e.Counters().Late < uint64(len(kept)) {
		t.Errorf("%d late segments; memory changed: %t", b.e.Counters().Late,
			!bytes.Equal(memory, before))
	}
}
