package transport

import (
	"bytes"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

func TestCallAndReply(t *testing.T) {
	for _, udp := range []int{0, 4, 6} {
		r, a, b, sa, _ := pair(t, udp, nil)
		b.serve = echo
		for _, n := range []int{0, 1, 63, 64, 65, 1000, 1400, 1500, 9000, 100_000, 1_000_000} {
			r.audit = n < 10_000
			o := r.order(sa)
			o.Route, o.Tag, o.Header = 77, uint64(n), []byte("head")
			data := pattern(n, n)
			id, err := a.e.Call(r.now, o, data)
			if err != nil {
				t.Fatal(err)
			}
			ev := a.await(EventReply)
			if ev.Call != id || ev.Tag != uint64(n) || ev.Outcome != Done ||
				string(ev.Header) != "head" || !bytes.Equal(ev.Data, data) {
				t.Fatalf("%d bytes: outcome %d cause %d, %d bytes back", n, ev.Outcome, ev.Cause,
					len(ev.Data))
			}
		}
		r.run(1 * core.Second)
		t.Log(r.pushed, a.e.Counters(), b.e.Counters())
		if c := a.e.Counters(); c.Lost+c.Timeouts+c.Spurious != 0 {
			t.Errorf("on a perfect network: %+v", c)
		}
	}
}
