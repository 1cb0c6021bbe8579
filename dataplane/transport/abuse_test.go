package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// answers is how many frames a side has to say in answer to what was handed to it by hand; nobody
// gets them.
func (s *side) answers() (n int) {
	for s.e.NextFrame(s.r.now, s.buffer) > 0 {
		if n++; n > 100_000 {
			s.r.t.Fatal("it never stops")
		}
	}
	return n
}

// TestRefusalsOfOneWriteAreBounded: a peer with a valid key repeats the first part of a write that
// was refused, and hears nothing. Each frame may cause an answer, and none is remembered.
func TestRefusalsOfOneWriteAreBounded(t *testing.T) {
	r, a, b, _, _ := pair(t, 0, nil)
	part := record(segment{
		kind: recordWrite, id: a.e.sessions[1].lanes[0].nextID, total: 64, region: 1 << 40,
		data: pattern(64, 0),
	})
	l := b.e.sessions[1].lanes[0]
	frames := bytes.Repeat(part, 8)
	n := 0
	for range 1000 {
		a.say(r, b, frames)
		n += b.answers()
		r.now += 5 * core.Microsecond
	}
	if left := l.refused.n + l.lost[0].n + len(l.refusals); left > maxRefusals {
		t.Errorf("%d refusals of one write wait", left)
	}
	if n > 1000 {
		t.Errorf("%d frames in answer to 1000", n)
	}
	b.e.mustAudit(t, r.now)
}

// TestRecordsOfAFrameAreBounded: each record may cost a look at everything under way, so a frame
// has no more of them than an honest one needs.
func TestRecordsOfAFrameAreBounded(t *testing.T) {
	r, a, b, _, _ := pair(t, 0, nil)
	ping := []byte{byte(recordPing)}
	if reason := a.say(r, b, bytes.Repeat(ping, mostRecords)); reason != OK {
		t.Errorf("%d records: %v", mostRecords, reason)
	}
	if reason := a.say(r, b, bytes.Repeat(ping, mostRecords+1)); reason != ReasonRecord {
		t.Errorf("%d records: %v", mostRecords+1, reason)
	}
	b.e.mustAudit(t, r.now)
}

// TestRepliesThatAreNotHeardOf: a peer acknowledges everything but one reply, and asks for it again
// and again. What is remembered of it does not grow.
func TestRepliesThatAreNotHeardOf(t *testing.T) {
	for _, size := range []int{64, 20_000} {
		repliesThatAreNotHeardOf(t, size)
	}
}

func repliesThatAreNotHeardOf(t *testing.T, size int) {
	t.Helper()
	r, a, b, _, _ := pair(t, 0, nil)
	lb := b.e.sessions[1].lanes[0]
	id := a.e.sessions[1].lanes[0].nextID
	call := func(id uint64) []byte {
		return record(segment{
			kind: recordCall, id: id, total: 64, remaining: 1 << 30, token: id, data: pattern(64, 0),
		})
	}
	ask := func(id uint64, size int) {
		a.say(r, b, call(id))
		if ev, ok := b.e.NextEvent(r.now); ok {
			if err := b.e.Reply(r.now, ev.Request, nil, pattern(size, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(id, size)
	most, sent := 0, b.answers()
	for n := range uint64(2000) {
		ask(id, 0) // again
		r.now += core.Millisecond
		b.e.HandleTimeout(r.now)
		sent += b.answers()
		ask(id+1+n, 64)
		sent += b.answers()
		x := ack{largest: lb.flight.next - 1, credit: 1 << 20, words: ackWords}
		for i := range uint64(maxFlight) {
			if i <= x.largest && lb.flight.known(x.largest-i) &&
				!carriesReply(lb, id, lb.flight.at(x.largest-i)) {
				x.bits[i/64] |= 1 << (i % 64)
			}
		}
		said := make([]byte, ackBytes+8*ackWords)
		putAck(said, &x)
		if reason := a.say(r, b, said); reason != OK {
			t.Fatal(reason)
		}
		refs := lb.lost[0].n + lb.lost[1].n
		for i := range lb.flight.ring {
			if s := &lb.flight.ring[i]; s.state == sentFlying {
				refs += int(s.count)
			}
		}
		most = max(most, refs)
	}
	if most > 32 || sent > 5*2000 {
		t.Errorf("%d copies of one reply of %d bytes at once, %d frames", most, size, sent)
	}
	if b.e.sessions[1].state != sessionOpen {
		t.Error("the session ended: nothing was tried")
	}
}

// carriesReply reports whether the reply to that call was in a frame.
func carriesReply(l *lane, id uint64, s *sent) bool {
	for _, r := range s.refs[:s.count] {
		o := l.out(handle{r.slot, r.gen})
		if r.kind == refSegment && o != nil && o.kind == recordReply && o.replyTo == id {
			return true
		}
	}
	return false
}

// TestCallsThatExpireInTheQueueAreForgotten: a peer that gives no credit keeps one patient call
// waiting, and behind it no trace of all those that gave up.
func TestCallsThatExpireInTheQueueAreForgotten(t *testing.T) {
	for _, size := range []int{64, 5000} {
		r, a, _, sa, _ := pair(t, 0, func(c *Config) { c.Outstanding = 100 })
		l := a.e.sessions[1].lanes[0]
		l.limit = l.used
		call := func(o Order) {
			t.Helper()
			if _, err := a.e.Call(r.now, o, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
			a.answers()
		}
		call(Order{Session: sa, Deadline: core.Never})
		for range 5000 {
			call(Order{Session: sa, Deadline: r.now + 1})
			r.now += core.Microsecond
			a.e.HandleTimeout(r.now)
			if ev, ok := a.e.NextEvent(r.now); !ok || ev.Outcome != Failed {
				t.Fatalf("%+v", ev)
			}
		}
		if n := l.small.n + l.waiting.n; n > 2*100 {
			t.Errorf("%d calls of %d bytes wait, of which one lives", n, size)
		}
		a.e.mustAudit(t, r.now)
	}
}

// TestTwoClosesAreNoConversation: both ends close at once, and say so a few times and not in answer
// to each other for as long as they linger.
func TestTwoClosesAreNoConversation(t *testing.T) {
	r, a, b, sa, sb := pair(t, 0, nil)
	r.run(10 * core.Millisecond)
	n := 0
	r.watch = func(_ *side, frame []byte) []byte { n++; return frame }
	if a.e.Close(r.now, sa) != nil || b.e.Close(r.now, sb) != nil {
		t.Fatal("close")
	}
	r.run(core.Second)
	if n > 8 {
		t.Errorf("%d frames to close one session", n)
	}
}
