package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestRenewalOfADrainingSession: a session that drains for longer than it would get old is not
// renewed, and nothing is due at once for ever.
func TestRenewalOfADrainingSession(t *testing.T) {
	for _, drains := range []int{0, 1} {
		r, a, b, sa, sb := pair(t, 0, renewing)
		o := Order{Session: sa, Deadline: r.now + 60*core.Second}
		if _, err := a.e.Call(r.now, o, nil); err != nil {
			t.Fatal(err)
		}
		request := b.await(EventRequest)
		ends := []struct {
			s  *side
			id SessionID
		}{{a, sa}, {b, sb}}
		if err := ends[drains].s.e.Drain(r.now, ends[drains].id); err != nil {
			t.Fatal(err)
		}
		r.run(2 * renewEvery)
		for _, x := range ends {
			x.s.e.HandleTimeout(r.now)
			if at := x.s.e.Deadline(); at <= r.now {
				t.Errorf("due at %d, now %d", at, r.now)
			}
		}
		if n := a.e.counters.Renewals; n != 0 {
			t.Errorf("renewed %d times", n)
		}
		if err := b.e.Reply(r.now, request.Request, nil, nil); err != nil {
			t.Fatal(err)
		}
		if ev := a.await(EventReply); ev.Outcome != Done {
			t.Errorf("%+v", ev)
		}
	}
}

// TestRenewalWaitsForThePeer: a session that was renewed does not end at one end while the other's
// call is under way there, however long nothing of that arrives; then it ends at once, at both.
func TestRenewalWaitsForThePeer(t *testing.T) {
	const cutFor = 3 * renewEvery / 4 // longer than any retransmission waits, shorter than death
	r, a, b, sa, sb := pair(t, 0, renewing)
	at := [2]*follow{{now: sa}, {now: sb}}
	a.serve, b.serve = at[0].serve, at[1].serve
	cutOld := false
	number := a.e.find(sa).number
	r.watch = func(from *side, frame []byte) []byte {
		h, _, reason := parseHeader(frame[14:])
		if cutOld && reason == OK && from == b && h.Session() == number {
			return nil
		}
		return frame
	}
	r.run(renewEvery - core.Millisecond)
	cutOld = true
	o := r.order(sb)
	o.Deadline = r.now + 20*core.Second
	if _, err := b.e.Call(r.now, o, pattern(100, 1)); err != nil {
		t.Fatal(err)
	}
	r.run(cutFor)
	if at[0].now == sa || at[1].now == sb {
		t.Fatal("not renewed")
	}
	if at[0].fallen > 0 || a.e.find(sa) == nil {
		t.Fatal("the old session has ended while its peer calls")
	}
	cutOld = false
	r.until("the call ends", core.Second+Tick, func() bool {
		_, ok := b.take(EventReply)
		return ok
	})
	r.run(10 * core.Millisecond)
	if at[1].unknown > 0 || at[0].fallen != 1 || at[1].fallen != 1 {
		t.Errorf("%+v, %+v", *at[0], *at[1])
	}
}

// TestRetiredSessionOfADeadPeer: if the peer is gone by the time that the old session waits for its
// word, that ends as dead; nothing waits for ever.
func TestRetiredSessionOfADeadPeer(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, renewing)
	o := Order{Session: sb, Deadline: r.now + 60*core.Second}
	if _, err := b.e.Call(r.now, o, nil); err != nil {
		t.Fatal(err)
	}
	a.await(EventRequest)
	r.until("it is renewed", 2*renewEvery, func() bool { return a.e.find(sa).retired })
	b.stopped = true
	r.run(2 * defaultDeadAfter)
	for range 2 {
		if ev := a.await(EventDown); ev.Cause != CauseDead {
			t.Errorf("%+v", ev)
		}
	}
	r.run(lingerFor)
	if open, all := a.e.Sessions(); open != 0 || all != 0 {
		t.Errorf("%d sessions are open, %d remembered", open, all)
	}
}

// TestRenewalMeetsConnect: the peer begins a session of its own while one is renewed. Whichever
// handshake goes on, both ends agree whom it succeeds: nobody, if the peer's does.
func TestRenewalMeetsConnect(t *testing.T) {
	renewed := 0
	for _, first := range []int{0, 1} { // who begins, and renews
		r := newRig(t)
		sides := [2]*side{r.add(renewing), r.add(renewing)}
		a, b := sides[first], sides[1-first]
		sa, sb := r.connect(a, b, 0)
		r.until("a renewal begins", 2*renewEvery, func() bool { return a.e.find(sa).renewal != 0 })
		if _, err := b.e.Connect(r.now, Peer{Path: b.path(a, 0), Key: a.key}); err != nil {
			t.Fatal(err)
		}
		ua, ub := a.await(EventUp), b.await(EventUp)
		if (ua.Replaces == sa) != (ub.Replaces == sb) {
			t.Errorf("host %d begins: %d and %d are replaced", first, ua.Replaces, ub.Replaces)
		}
		if ua.Replaces != 0 {
			renewed++
		}
		r.run(core.Second / 2)
		for _, s := range sides {
			if open, all := s.e.Sessions(); open != 1 || all != 1 {
				t.Errorf("host %d begins: %d sessions are open, %d remembered", first, open, all)
			}
		}
	}
	if renewed != 1 {
		t.Errorf("%d of 2 handshakes were the renewal's", renewed)
	}
}

// TestLateSessionReplacesNobody: the first frame of a session arrives after that of the next one.
// Both ends keep to the next one.
func TestLateSessionReplacesNobody(t *testing.T) {
	r := newRig(t)
	a, b := r.add(nil), r.add(nil)
	var late [][]byte
	hold := true
	r.watch = func(from *side, frame []byte) []byte {
		if h, _, reason := parseHeader(frame[14:]); hold && reason == OK && from == a &&
			h.Type() == TypeData {
			late = append(late, frame)
			return nil
		}
		return frame
	}
	connect := func() SessionID {
		id, err := a.e.Connect(r.now, Peer{Path: a.path(b, 0), Key: b.key})
		if err != nil {
			t.Fatal(err)
		}
		a.await(EventUp)
		return id
	}
	connect()
	r.run(100 * core.Millisecond)
	hold = false
	next := connect()
	up := b.await(EventUp)
	for _, frame := range late {
		b.e.HandleFrame(r.now, frame)
	}
	r.run(core.Second)
	if len(late) == 0 || a.e.find(next) == nil || b.e.find(up.Session) == nil ||
		len(b.events) > 0 {
		t.Errorf("%d late frames; %v, %v; %+v", len(late), a.e.find(next), b.e.find(up.Session),
			b.events)
	}
}

// TestRegionsAreOfOneSession: a write that is under way when its session is renewed is done there.
// The region is not carried over: the successor needs one of its own, and the old id ends with the
// old session.
func TestRegionsAreOfOneSession(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, renewing)
	at := [2]*follow{{now: sa}, {now: sb}}
	a.serve, b.serve = at[0].serve, at[1].serve
	memory := make([]byte, 4<<20)
	region, err := b.e.Register(sb, memory, RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	write := func(s SessionID, data []byte) {
		o := r.order(s)
		o.Deadline = r.now + 20*core.Second
		if _, err := a.e.Write(r.now, o, Target{Region: region}, data); err != nil {
			t.Fatal(err)
		}
	}
	await := func() (ev Event) {
		r.until("the write ends", 20*core.Second, func() (ok bool) {
			ev, ok = a.take(EventWritten)
			return ok
		})
		return ev
	}
	a.rate = 100e6
	b.rate = 100e6 // so that it takes 40 ms
	a.queue, b.queue = 10*core.Millisecond, 10*core.Millisecond
	r.run(a.e.find(sa).renewAt - r.now - 5*core.Millisecond)
	data := pattern(len(memory), 1)
	write(sa, data)
	r.until("it is renewed", core.Second, func() bool { return at[0].now != sa && at[1].now != sb })
	if a.e.find(sa) == nil || a.e.find(sa).begun != 1 {
		t.Fatal("the write was not under way")
	}
	write(at[0].now, pattern(100, 2))
	if ev := await(); ev.Session != at[0].now || ev.Outcome != Failed || ev.Cause != CauseRegion {
		t.Errorf("a write into a region of the old session: %+v", ev)
	}
	if ev := await(); ev.Session != sa || ev.Outcome != Done || !bytes.Equal(memory, data) {
		t.Errorf("the write that was under way: %+v", ev)
	}
	r.run(10 * core.Millisecond)
	if b.e.find(sb) != nil || b.e.Deregister(region) == nil {
		t.Error("the region has outlived its session")
	}
}
