package transport

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// shuttle carries frames between two endpoints at once, without a network.
func shuttle(now core.Time, a, b *side) {
	for {
		n := a.e.NextFrame(now, a.buffer)
		if n > 0 {
			b.e.HandleFrame(now, a.buffer[:n])
		}
		m := b.e.NextFrame(now, b.buffer)
		if m > 0 {
			a.e.HandleFrame(now, b.buffer[:m])
		}
		if n == 0 && m == 0 {
			return
		}
	}
}

// oneCall makes a call and carries it to its end; it returns how many frames that took.
func oneCall(r *rig, a, b *side, id SessionID, data []byte) {
	r.now += 20 * core.Microsecond
	o := Order{Session: id, Deadline: r.now + core.Second, Route: 5}
	if _, err := a.e.Call(r.now, o, data); err != nil {
		r.t.Fatal(err)
	}
	shuttle(r.now, a, b)
	ev, ok := b.e.NextEvent(r.now)
	if !ok || ev.Kind != EventRequest {
		r.t.Fatalf("%+v", ev)
	}
	if err := b.e.Reply(r.now, ev.Request, ev.Header, ev.Data); err != nil {
		r.t.Fatal(err)
	}
	b.e.NextEvent(r.now)
	shuttle(r.now, a, b)
	if ev, ok = a.e.NextEvent(r.now); !ok || ev.Kind != EventReply || ev.Outcome != Done {
		r.t.Fatalf("%+v", ev)
	}
	a.e.NextEvent(r.now)
	a.e.HandleTimeout(r.now)
	b.e.HandleTimeout(r.now)
}

func TestSmallCallAllocatesNothing(t *testing.T) {
	r, a, b, id, _ := pair(t, 0, nil)
	data := pattern(64, 0)
	for range 3000 { // warm up: rings, slots, the heap of timers
		oneCall(r, a, b, id, data)
	}
	if n := testing.AllocsPerRun(1000, func() { oneCall(r, a, b, id, data) }); n != 0 {
		t.Errorf("%v allocations a call at both ends", n)
	}
}

func TestSmallCallIsOneFrameEachWay(t *testing.T) {
	r, a, b, id, _ := pair(t, 0, nil)
	data := pattern(64, 0)
	oneCall(r, a, b, id, data)
	before, answers := a.e.Counters().Sent, b.e.Counters().Sent
	for range 100 {
		oneCall(r, a, b, id, data)
	}
	if n, m := a.e.Counters().Sent-before, b.e.Counters().Sent-answers; n != 100 || m != 100 {
		t.Errorf("100 calls took %d frames and %d back", n, m)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	r, a, b, id, sb := pair(t, 0, nil)
	region, err := b.e.Register(sb, make([]byte, 100_000), RightWrite)
	if err != nil {
		t.Fatal(err)
	}
	src := pattern(100_000, 0)
	write := func() {
		o := Order{Session: id, Deadline: r.now + core.Second}
		if _, err := a.e.Write(r.now, o, Target{Region: region, Stable: true}, src); err != nil {
			t.Fatal(err)
		}
		for {
			shuttle(r.now, a, b)
			if ev, ok := a.e.NextEvent(r.now); ok {
				if ev.Outcome != Done {
					t.Fatalf("%+v", ev)
				}
				return
			}
			r.now = max(r.now+1, min(a.e.Deadline(), b.e.Deadline()))
			a.e.HandleTimeout(r.now)
			b.e.HandleTimeout(r.now)
		}
	}
	for range 100 {
		write()
	}
	if n := testing.AllocsPerRun(20, write); n != 0 {
		t.Errorf("%v allocations a write", n)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, insecure := range []bool{false, true} {
		name := "encrypted"
		if insecure {
			name = "insecure"
		}
		b.Run(name, func(b *testing.B) {
			r, x, y, id, _ := pair(b, 0, func(c *Config) { c.Handshake.Insecure = insecure })
			data := pattern(64, 0)
			b.ReportAllocs()
			for b.Loop() {
				oneCall(r, x, y, id, data)
			}
		})
	}
}
