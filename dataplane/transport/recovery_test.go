package transport

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// settled is a pair that has called each other often enough to know the round trip.
func settled(t testing.TB, change func(*Config)) (r *rig, a, b *side, id SessionID) {
	t.Helper()
	r, a, b, id, _ = pair(t, 0, change)
	b.serve = echo
	for range 20 {
		mustCall(r, a, id, 64)
		r.run(core.Millisecond)
	}
	return r, a, b, id
}

// mustCall makes a call that must succeed and returns how long it took.
func mustCall(r *rig, a *side, id SessionID, n int) core.Time {
	r.t.Helper()
	start := r.now
	if _, err := a.e.Call(r.now, r.order(id), pattern(n, 0)); err != nil {
		r.t.Fatal(err)
	}
	ev := a.await(EventReply)
	if ev.Outcome != Done || len(ev.Data) != n {
		r.t.Fatalf("%+v", ev)
	}
	return r.now - start
}

// isData reports whether a frame of the rig is one of a session.
func isData(frame []byte) bool { return Header(frame[wire.EthernetBytes:]).Type() == TypeData }

// loseNth has the n-th frame of a session from s vanish, counted from now; 0 is the next.
func (r *rig) loseNth(s *side, n ...int) {
	seen := 0
	r.watch = func(from *side, frame []byte) []byte {
		if from != s || !isData(frame) {
			return frame
		}
		seen++
		for _, x := range n {
			if seen-1 == x {
				return nil
			}
		}
		return frame
	}
}

// TestB5TailLossIsRepairedByAProbe loses the only frame of a call, and the only one of its reply.
func TestB5TailLossIsRepairedByAProbe(t *testing.T) {
	for _, reply := range []bool{false, true} {
		r, a, b, id := settled(t, nil)
		trip := mustCall(r, a, id, 64)
		r.run(core.Millisecond)
		if reply {
			r.loseNth(b, 0)
		} else {
			r.loseNth(a, 0)
		}
		took := mustCall(r, a, id, 64)
		if most := 3*trip + Tick; took >= most {
			t.Errorf("reply %v: repaired after %d ns, a round trip is %d: want below %d", reply,
				took, trip, most)
		}
		if c := a.e.Counters(); c.Probes != 1 || c.Timeouts != 0 {
			t.Errorf("reply %v: %d probes, %d time-outs", reply, c.Probes, c.Timeouts)
		}
	}
}

// TestB5ReorderingIsNoLoss delivers frames of a bulk write in another order, within the window.
func TestB5ReorderingIsNoLoss(t *testing.T) {
	r, a, b, id := settled(t, nil)
	a.setFaults(fault.Config{
		Delay:   fault.Delay{Fixed: 20 * core.Microsecond},
		Reorder: fault.Reorder{Probability: 0.3, Delay: 2 * core.Microsecond},
	})
	b.setFaults(fault.Config{Delay: fault.Delay{Fixed: 20 * core.Microsecond}})
	for range 20 {
		mustCall(r, a, id, 64)
	}
	mustCall(r, a, id, 500_000)
	if c := a.e.Counters(); c.Lost != 0 {
		t.Errorf("%d frames taken as lost that were late", c.Lost)
	}
}

// TestB5WindowGrowsWithReordering has frames come so late that they count as lost, until the lane
// has learnt how late they come.
func TestB5WindowGrowsWithReordering(t *testing.T) {
	r, a, b, id := settled(t, nil)
	b.setFaults(fault.Config{Delay: fault.Delay{Fixed: 20 * core.Microsecond}})
	a.setFaults(fault.Config{
		Delay:   fault.Delay{Fixed: 20 * core.Microsecond},
		Reorder: fault.Reorder{Probability: 0.02, Delay: 30 * core.Microsecond},
	})
	mustCall(r, a, id, 2_000_000)
	first := a.e.Counters().Spurious
	mustCall(r, a, id, 2_000_000)
	second := a.e.Counters().Spurious - first
	if first == 0 || second > first {
		t.Errorf("%d spurious at first, %d then", first, second)
	}
}

// TestB5LossInTheMiddle loses frames of a bulk transfer at its beginning, in it, and at its end, the
// repair of one included.
func TestB5LossInTheMiddle(t *testing.T) {
	for _, lost := range [][]int{{0}, {1}, {5}, {5, 6, 7}, {69}, {70, 71}, {71, 72}, {3, 40, 74}} {
		r, a, _, id := settled(t, nil)
		r.loseNth(a, lost...)
		mustCall(r, a, id, 100_000)
		if c := a.e.Counters(); c.Timeouts != 0 {
			t.Errorf("frames %v lost: %d time-outs", lost, c.Timeouts)
		}
	}
}

// TestB6TimeoutsBackOff: the time-out has a floor and a cap, doubles, and is never 0.
func TestB6TimeoutsBackOff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r rtt
		for _, d := range rapid.SliceOf(rapid.Int64Range(-5, 10*int64(core.Second))).Draw(t, "trips") {
			r.sample(core.Time(d))
			if r.smooth <= 0 || r.variation < 0 || r.least <= 0 || r.least > r.smooth {
				t.Fatalf("%+v", r)
			}
		}
		last := core.Time(0)
		for backoff := range uint(70) {
			d := r.timeout(backoff)
			if d < last || d < rtoFloor || d > rtoCap || backoff > 0 && d != rtoCap && d != 2*last {
				t.Fatalf("time-out %d after %d, backoff %d", d, last, backoff)
			}
			last = d
		}
	})
}

// TestB6NoStormWhileNothingPasses counts what is sent into the void.
func TestB6NoStormWhileNothingPasses(t *testing.T) {
	r, a, _, id := settled(t, func(c *Config) { c.DeadAfter = 100 * core.Second })
	before := a.e.Counters().Sent
	a.model.Cut(core.Never)
	o := r.order(id)
	o.Deadline = r.now + 50*core.Second
	if _, err := a.e.Call(r.now, o, pattern(64, 0)); err != nil {
		t.Fatal(err)
	}
	r.run(10 * core.Second)
	if n := a.e.Counters().Sent - before; n > 350 {
		t.Errorf("%d frames in 10 s without an answer", n)
	}
	a.model.Cut(0)
	if ev := a.await(EventReply); ev.Outcome != Done {
		t.Errorf("%+v", ev)
	}
}

// TestB6StallIsNoTimeout stops a side for a second: acknowledgements wait for it when it wakes.
func TestB6StallIsNoTimeout(t *testing.T) {
	r, a, b, id := settled(t, nil)
	b.serve = echo
	if _, err := a.e.Call(r.now, r.order(id), pattern(64, 0)); err != nil {
		t.Fatal(err)
	}
	r.drain(a)
	// The reply arrives while a does not run: it is handled before the timers, as the loop does.
	var held [][]byte
	r.watch = func(from *side, frame []byte) []byte {
		if from == b {
			held = append(held, bytes.Clone(frame))
			return nil
		}
		return frame
	}
	a.stopped = true
	for end := r.now + 20*core.Microsecond; r.step(end); {
	}
	for len(r.flying) > 0 && r.flying[0].at <= r.now+10*core.Microsecond {
		r.step(r.now + 10*core.Microsecond)
	}
	r.watch = nil
	a.stopped = false
	r.now += 900 * core.Millisecond
	for _, f := range held {
		a.e.HandleFrame(r.now, f)
	}
	a.e.HandleTimeout(r.now)
	if c := a.e.Counters(); c.Timeouts != 0 {
		t.Errorf("%d time-outs after a stall", c.Timeouts)
	}
}

// TestSpuriousTimeoutIsUndone holds everything for longer than a time-out.
func TestSpuriousTimeoutIsUndone(t *testing.T) {
	r, a, b, id := settled(t, nil)
	for range 10 {
		mustCall(r, a, id, 200_000)
	}
	l := a.e.find(id).lanes[0]
	window := l.congestion.window
	if _, err := a.e.Call(r.now, r.order(id), pattern(200_000, 0)); err != nil {
		t.Fatal(err)
	}
	b.model.Clog(r.now + 20*core.Millisecond)
	a.await(EventReply)
	c := a.e.Counters()
	if c.Timeouts == 0 || c.Spurious == 0 || c.Undone == 0 {
		t.Fatalf("%+v", c)
	}
	if l.congestion.window < window/2 {
		t.Errorf("the window is %d, it was %d", l.congestion.window, window)
	}
}

// TestB7LostCreditIsProbedFor loses every update of the credit for a second.
func TestB7LostCreditIsProbedFor(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(func(c *Config) { c.PeerBytes = 64 << 10 })
	id, _ := r.connect(a, b, 0)
	taking := false
	got := 0
	b.serve = func(s *side, ev Event) {
		if ev.Kind == EventMessage {
			got++
		}
	}
	// b takes nothing at first: its credit runs out.
	full := r.sides[1]
	full.e.settle(r.now)
	sent := 0
	for range 40 {
		o := r.order(id)
		o.Deadline = r.now + 20*core.Second
		if a.e.Send(r.now, o, pattern(4000, 0)) == nil {
			sent++
		}
	}
	hold := b.e
	for range 3000 { // by hand, without taking events at b
		for _, s := range []*side{a, b} {
			for n := s.e.NextFrame(r.now, s.buffer); n > 0; n = s.e.NextFrame(r.now, s.buffer) {
				r.side(wire.Ethernet(s.buffer).Dst()).e.HandleFrame(r.now, bytes.Clone(s.buffer[:n]))
			}
			s.e.HandleTimeout(r.now)
		}
		r.now += 100 * core.Microsecond
	}
	l := a.e.find(id).lanes[0]
	if !l.blocked || a.e.Counters().CreditProbes == 0 {
		t.Fatalf("blocked %v, %d probes", l.blocked, a.e.Counters().CreditProbes)
	}
	if n := a.e.Counters().CreditProbes; n > 20 {
		t.Errorf("%d probes in 300 ms", n)
	}
	_ = hold
	// Now b takes them all, and everything it says is lost for a second.
	taking = true
	b.model.Cut(r.now + core.Second)
	r.run(3 * core.Second)
	if got != sent || !taking {
		t.Errorf("%d of %d messages arrived", got, sent)
	}
}

// TestCreditNeverShrinks: an old acknowledgement that comes late takes nothing back.
func TestCreditNeverShrinks(t *testing.T) {
	r, a, b, _, _ := pair(t, 0, nil)
	la, lb := a.e.sessions[1].lanes[0], b.e.sessions[1].lanes[0]
	limit := lb.limit
	la.granted -= 1000
	if reason := a.say(r, b, func() []byte {
		buf := make([]byte, ackBytes+8)
		putAck(buf, &ack{largest: 0, words: 1, credit: la.granted})
		return buf
	}()); reason != OK {
		t.Fatal(reason)
	}
	if lb.limit != limit {
		t.Errorf("credit went from %d to %d", limit, lb.limit)
	}
}

// TestB8CountersBeyond32Bits starts every number just below 2^32.
func TestB8CountersBeyond32Bits(t *testing.T) {
	const start = 1<<32 - 5
	r, a, b, id, _ := pair(t, 0, nil)
	b.serve = echo
	r.run(10 * core.Millisecond)
	la, lb := a.e.sessions[1].lanes[0], b.e.sessions[1].lanes[0]
	for _, x := range []struct{ from, to *lane }{{la, lb}, {lb, la}} {
		x.from.nextID, x.from.outOver.base, x.to.inOver.base = start, start, start
	}
	for i := range 40 {
		mustCall(r, a, id, 1+i*i*100)
	}
	if la.nextID <= 1<<32 || lb.inOver.base <= 1<<32 {
		t.Errorf("numbers ended at %d", la.nextID)
	}
	// Frames: the books about what was sent and received, without the keys.
	var f flight
	f.next, f.oldest = start, start
	var rec received
	for i := range uint64(20) {
		s := f.record(0)
		f.fly(s, 100)
		if i%3 != 0 {
			rec.note(0, s.counter)
			rec.want(0, 1)
		}
	}
	var x ack
	rec.fill(0, &x)
	for i := range uint64(20) {
		c := uint64(start) + i
		back := x.largest - c
		got := c <= x.largest && x.bits[back/64]>>(back%64)&1 != 0
		if got != (i%3 != 0) {
			t.Errorf("frame %d: acknowledged %v", i, got)
		}
	}
}

// TestB8RestartedPeer kills one side under load, again and again: it comes back with another
// session, and what was under way ends.
func TestB8RestartedPeer(t *testing.T) {
	r := newRig(t)
	b := r.add(nil)
	b.serve = echo
	for i := range 20 {
		fresh := r.add(nil)
		id, err := fresh.e.Connect(r.now, Peer{Path: fresh.path(b, 0), Key: b.key})
		if err != nil {
			t.Fatal(err)
		}
		fresh.await(EventUp)
		for range 5 {
			mustCall(r, fresh, id, 2000)
		}
		if _, err := fresh.e.Call(r.now, r.order(id), pattern(30_000, 0)); err != nil {
			t.Fatal(err)
		}
		r.run(core.Time(i) * 3 * core.Microsecond)
		fresh.stopped = true
	}
	r.run(10 * core.Second)
	for _, s := range b.e.sessions {
		if s != nil {
			t.Errorf("session %d outlives its peer", s.index)
		}
	}
	if b.e.in.used != 0 || b.e.out.used != 0 || b.e.words.used != 0 {
		t.Errorf("%d, %d, %d bytes left", b.e.in.used, b.e.out.used, b.e.words.used)
	}
}

// TestB8SimultaneousOpen has both begin at once: one session comes of it.
func TestB8SimultaneousOpen(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(nil)
	ia, err := a.e.Connect(r.now, Peer{Path: a.path(b, 0), Key: b.key})
	if err != nil {
		t.Fatal(err)
	}
	ib, err := b.e.Connect(r.now, Peer{Path: b.path(a, 0), Key: a.key})
	if err != nil {
		t.Fatal(err)
	}
	r.run(100 * core.Millisecond)
	ea, _ := a.take(EventUp)
	eb, _ := b.take(EventUp)
	if ea.Session != ia || eb.Session != ib || len(a.events)+len(b.events) != 0 {
		t.Fatalf("%+v, %+v; %+v, %+v", ea, eb, a.events, b.events)
	}
	a.serve, b.serve = echo, echo
	mustCall(r, a, ia, 100)
	mustCall(r, b, ib, 100)
}

// TestB8SimultaneousClose has both close at once, and a close that is lost.
func TestB8SimultaneousClose(t *testing.T) {
	for _, lost := range []bool{false, true} {
		r, a, b, sa, sb := pair(t, 0, nil)
		if lost {
			a.lose(1)
			b.lose(1)
		}
		if a.e.Close(r.now, sa) != nil || b.e.Close(r.now, sb) != nil {
			t.Fatal("close")
		}
		r.run(10 * core.Second) // handshakes remember for a while
		for _, s := range r.sides {
			if ev, ok := s.take(EventDown); !ok || ev.Cause != CauseClosed || len(s.events) != 0 {
				t.Errorf("%+v, %+v", ev, s.events)
			}
			if s.e.Deadline() != core.Never {
				t.Errorf("something is left to do at %d, now %d", s.e.Deadline(), r.now)
			}
		}
	}
}

// TestB11DeadPeerIsNoticed stops a peer, cuts both ways, and cuts one way.
func TestB11DeadPeerIsNoticed(t *testing.T) {
	for name, cut := range map[string]func(a, b *side){
		"stopped":   func(a, b *side) { b.stopped = true },
		"cut there": func(a, b *side) { a.model.Cut(core.Never) },
		"cut back":  func(a, b *side) { b.model.Cut(core.Never) },
	} {
		r, a, b, id := settled(t, nil)
		cut(a, b)
		o := r.order(id)
		o.Deadline = r.now + 500*core.Millisecond
		if _, err := a.e.Call(r.now, o, pattern(64, 0)); err != nil {
			t.Fatal(err)
		}
		at := r.now
		ev := a.await(EventReply)
		if ev.Outcome != Unknown || ev.Cause != CauseDeadline || r.now != o.Deadline {
			t.Errorf("%s: call ended %+v after %d", name, ev, r.now-at)
		}
		if ev = a.await(EventDown); ev.Cause != CauseDead || r.now-at > defaultDeadAfter+keepAlive {
			t.Errorf("%s: %+v after %d", name, ev, r.now-at)
		}
	}
}

// TestB11SilentPeerIsNoticed: without anything under way, by asking.
func TestB11SilentPeerIsNoticed(t *testing.T) {
	r, a, b, _, _ := pair(t, 0, nil)
	r.run(10 * core.Second)
	if len(a.events)+len(b.events) != 0 {
		t.Fatalf("%+v, %+v", a.events, b.events)
	}
	b.stopped = true
	at := r.now
	if ev := a.await(EventDown); ev.Cause != CauseDead ||
		r.now-at > defaultDeadAfter+2*keepAlive {
		t.Errorf("%+v after %d", ev, r.now-at)
	}
}

// TestB12LargeFramesWhereThePathHasThem finds 9,000 bytes, and 1,500 where a switch has no more.
func TestB12LargeFramesWhereThePathHasThem(t *testing.T) {
	for _, most := range []int{9000, 4000, 1500} {
		r, a, b, id, _ := pair(t, 0, func(c *Config) { c.MTU = 9000 })
		r.watch = func(_ *side, frame []byte) []byte {
			if len(frame) > most+wire.EthernetBytes {
				return nil
			}
			return frame
		}
		b.serve = echo
		mustCall(r, a, id, 500_000)
		want := defaultMTU
		if most == 9000 {
			want = 9000
		}
		r.run(core.Second)
		if got := a.e.find(id).mtu.now; got != want {
			t.Errorf("a path of %d: MTU %d, want %d", most, got, want)
		}
		if c := a.e.Counters(); c.Timeouts != 0 {
			t.Errorf("%d time-outs", c.Timeouts)
		}
	}
}

// TestB12BlackHoleIsRepaired shrinks a path under a transfer, and heals it.
func TestB12BlackHoleIsRepaired(t *testing.T) {
	r, a, b, id, _ := pair(t, 0, func(c *Config) { c.MTU = 9000 })
	b.serve = echo
	mustCall(r, a, id, 1_000_000)
	most := 1500
	r.watch = func(_ *side, frame []byte) []byte {
		if len(frame) > most+wire.EthernetBytes {
			return nil
		}
		return frame
	}
	took := mustCall(r, a, id, 1_000_000)
	if got := a.e.find(id).mtu.now; got != defaultMTU || a.e.Counters().BlackHoles != 1 {
		t.Errorf("MTU %d, %d black holes", got, a.e.Counters().BlackHoles)
	}
	if took > 200*core.Millisecond {
		t.Errorf("took %d us", took/core.Microsecond)
	}
	most = 9000
	r.run(2 * probeAgain)
	if got := a.e.find(id).mtu.now; got != 9000 {
		t.Errorf("MTU %d after the path was healed", got)
	}
	// A path that carries less than a usual frame.
	most = minMTU
	mustCall(r, a, id, 100_000)
	if got := a.e.find(id).mtu.now; got != minMTU {
		t.Errorf("MTU %d on a path of %d", got, most)
	}
}
