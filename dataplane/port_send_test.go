package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
)

// take allocates n frames of 60 bytes that begin with marks from mark on, or fewer if the pool has
// fewer.
func take(r *rig, n int, mark byte) []dataplane.Frame {
	var frames []dataplane.Frame
	for i := range n {
		index, ok := r.cache.Alloc()
		if !ok {
			break
		}
		r.pool.Chunk(index)[0] = mark + byte(i)
		frames = append(frames, dataplane.Frame{Index: index, Len: 60})
	}
	return frames
}

func TestPortSends(t *testing.T) {
	r := newRig(t, small, 64)
	frames := take(r, 5, 'a')
	frames[1].Len |= dataplane.FrameMore
	frames[2].Len |= dataplane.FrameMore
	if n := r.port.Send(frames); n != 5 {
		t.Fatalf("sent %d of 5", n)
	}
	if r.kernel.kicksTx != 0 || !r.port.Pending() {
		t.Error("something was published before Flush, or is not pending")
	}
	r.audit(t, 0)
	r.port.Flush()
	if string(r.kernel.sent) != "abe" || r.kernel.sentLens[1] != 180 {
		t.Errorf("transmitted %q, %v bytes", r.kernel.sent, r.kernel.sentLens)
	}
	if r.port.Pending() {
		t.Error("pending after all was transmitted")
	}
	r.port.Flush()
	if r.kernel.kicksTx != 1 {
		t.Errorf("%d kicks, want 1: nothing was left", r.kernel.kicksTx)
	}
	r.port.Recv(frames[:0]) // an idle turn reaps
	if l := r.port.Lent(); l.Tx != 0 {
		t.Errorf("%d chunks are lent after an idle turn", l.Tx)
	}
	r.audit(t, 0)
	if c := r.port.Counters(); c.TxFrames != 5 || c.TxPackets != 3 || c.Kicks != 1 {
		t.Errorf("counted %+v", c)
	}
}

// Send ends at a packet's end when the ring has less room, and takes the rest once there is.
func TestPortSendWithoutRoom(t *testing.T) {
	r := newRig(t, small, 64)
	r.kernel.holdBack = true
	frames := take(r, 70, 0)
	for i := range frames {
		if i%7 != 6 {
			frames[i].Len |= dataplane.FrameMore
		}
	}
	n := r.port.Send(frames)
	if n != 63 {
		t.Fatalf("sent %d frames, want the 9 packets of 7 that a ring of 64 holds", n)
	}
	if m := r.port.Send(frames[n:]); m != 0 {
		t.Fatalf("a full ring took %d more", m)
	}
	r.audit(t, 70-n)
	r.port.Flush()
	if m := r.port.Send(frames[n:]); m != 7 {
		t.Fatalf("sent %d of the last 7", m)
	}
	r.audit(t, 0)
}

// TestPortKicks plays what sendto can answer. "Again" is tried again while it gets on.
func TestPortKicks(t *testing.T) {
	const again, blocked, down = dataplane.KickAgain, dataplane.KickBlocked, dataplane.KickDown
	for _, c := range []struct {
		name    string
		kick    []kickEvent
		kicks   int // in the first Flush
		sent    int // by it
		pending bool
	}{
		{"all", nil, 1, 50, false},
		{"32 at once", []kickEvent{{32, again}}, 2, 50, false},
		{"again at the end", []kickEvent{{32, again}, {18, again}}, 2, 50, false},
		{"again without progress", []kickEvent{{32, again}, {0, again}, {0, again}}, 2, 32, true},
		{"blocked", []kickEvent{{10, blocked}}, 1, 10, true},
		{"down", []kickEvent{{10, down}}, 1, 10, false},
	} {
		r := newRig(t, small, 64)
		r.kernel.kick = c.kick
		r.port.Send(take(r, 50, 0))
		r.port.Flush()
		if r.kernel.kicksTx != c.kicks || len(r.kernel.sent) != c.sent ||
			r.port.Pending() != c.pending {
			t.Errorf("%s: %d kicks, %d sent, pending %v", c.name, r.kernel.kicksTx,
				len(r.kernel.sent), r.port.Pending())
		}
		r.audit(t, 0)
		if !c.pending {
			continue
		}
		r.kernel.kick = nil
		r.port.Flush()
		if len(r.kernel.sent) != 50 || r.port.Pending() {
			t.Errorf("%s: the next Flush leaves %d of 50 sent", c.name, len(r.kernel.sent))
		}
	}
}

// A completion ring that nobody empties stops the kernel. A port that only sends must empty it,
// also where no kick is needed and so none says "again".
func TestPortThatOnlySends(t *testing.T) {
	for _, needsKick := range []bool{true, false} {
		r := newRig(t, small, 64)
		r.kernel.far.Tx.SetNeedWakeup(needsKick)
		for turn := range 100 {
			frames := take(r, 40, 0)
			if len(frames) < 40 {
				t.Fatalf("needs kick %v, turn %d: the pool ran dry at %d", needsKick, turn,
					len(frames))
			}
			if n := r.port.Send(frames); n != 40 {
				t.Fatalf("needs kick %v, turn %d: sent %d of 40", needsKick, turn, n)
			}
			r.port.Flush()
			if !needsKick {
				r.kernel.transmit(64) // the other side polls
			}
			r.audit(t, 0)
		}
	}
}

// A port that goes down loses what is sent, not frames; the first packet that arrives says that it
// is up again.
func TestPortDown(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	r.kernel.kick = []kickEvent{{0, dataplane.KickDown}}
	r.port.Send(take(r, 2, 'a'))
	r.port.Flush()
	if !r.port.Down() || r.port.Pending() {
		t.Fatalf("down %v, pending %v", r.port.Down(), r.port.Pending())
	}
	if n := r.port.Send(take(r, 3, 'c')); n != 3 {
		t.Errorf("a port that is down took %d of 3", n)
	}
	r.port.Flush()
	r.audit(t, 0)
	if c := r.port.Counters(); c.TxDropped != 3 || c.TxFrames != 2 || c.Kicks != 1 {
		t.Errorf("counted %+v", c)
	}
	r.kernel.deliver(1, 60, 'x')
	n := r.port.Recv(burst[:])
	if n != 1 || r.port.Down() {
		t.Fatalf("received %d, down %v", n, r.port.Down())
	}
	r.port.Send(burst[:n])
	r.port.Flush()
	if string(r.kernel.sent) != "abx" {
		t.Errorf("transmitted %q", r.kernel.sent)
	}
}

func TestSendingAChunkTwicePanics(t *testing.T) {
	r := newRig(t, small, 64)
	frames := take(r, 1, 0)
	r.port.Send(frames)
	defer func() {
		if recover() == nil {
			t.Error("a chunk was sent while the other side still had it")
		}
	}()
	r.port.Send(frames)
}

// A small pool must not run dry because chunks that came back wait in batches.
func TestPortWithFewChunks(t *testing.T) {
	c := small
	c.Chunks = 128
	r := newRig(t, c, 64)
	hoard := take(r, 128-64-4, 0) // leaves four to work with
	var burst [dataplane.MaxBurst]dataplane.Frame
	for turn := range 1000 {
		if !r.kernel.deliver(1, 60, byte(turn)) {
			t.Fatalf("turn %d: no chunk to receive into", turn)
		}
		n := r.port.Recv(burst[:])
		if n != 1 {
			t.Fatalf("turn %d: received %d", turn, n)
		}
		reply := take(r, 1, 0)
		if len(reply) != 1 {
			t.Fatalf("turn %d: no frame to reply with; lent %+v", turn, r.port.Lent())
		}
		r.cache.FreeAll(burst[:n])
		r.port.Send(reply)
		r.port.Flush()
		r.audit(t, len(hoard))
	}
}

// A port whose pool is empty lends chunks as soon as there are some, and until then does not let
// its worker park, because nothing could wake it.
func TestPortStarved(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	hoard := take(r, 256, 0)
	if len(hoard) != 256-64 {
		t.Fatalf("took %d", len(hoard))
	}
	for r.kernel.deliver(1, 60, 'x') {
		n := r.port.Recv(burst[:])
		hoard = append(hoard, burst[:n]...)
	}
	if len(hoard) != 256 || r.port.Lent().Rx != 0 {
		t.Fatalf("%d hoarded, lent %+v", len(hoard), r.port.Lent())
	}
	if !r.port.Pending() || r.port.Counters().FillStarved == 0 {
		t.Errorf("pending %v, counted %+v", r.port.Pending(), r.port.Counters())
	}
	r.cache.FreeAll(hoard)
	r.port.Recv(burst[:])
	if r.port.Pending() || r.port.Lent().Rx != 64 {
		t.Errorf("pending %v, lent %+v", r.port.Pending(), r.port.Lent())
	}
	r.audit(t, 0)
}

// The other side is woken for new chunks once, whether it goes to sleep before we publish them or
// after we looked.
func TestPortWakesToFill(t *testing.T) {
	r := newRig(t, small, 64)
	var burst [dataplane.MaxBurst]dataplane.Frame
	idle := func() { r.port.Recv(burst[:]) }
	idle()
	if r.kernel.kicksRx != 0 {
		t.Fatal("the other side was woken although it does not sleep")
	}
	r.kernel.far.Fill.SetNeedWakeup(true) // it looked before we published and sleeps after we looked
	idle()
	idle()
	if r.kernel.kicksRx != 1 {
		t.Fatalf("woken %d times, want once", r.kernel.kicksRx)
	}
	for range 64 {
		r.kernel.deliver(1, 60, 'x')
	}
	r.cache.FreeAll(burst[:r.port.Recv(burst[:])])
	idle()
	if r.kernel.kicksRx != 2 {
		t.Errorf("woken %d times, want once more for the chunks lent again", r.kernel.kicksRx)
	}
}
