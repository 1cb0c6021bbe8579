package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane"
	"pgregory.net/rapid"
)

// TestWorkerOverPort runs a worker over a port whose kernel takes what it likes: nothing is lost
// between them, everything gets out once the kernel takes it, and then nothing is pending.
func TestWorkerOverPort(t *testing.T) {
	packet := request(t, "raw", pattern(46))
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t, dataplane.LayoutConfig{
			Workers: 1, RingEntries: 64, ChunkBytes: 2048,
			Chunks: rapid.SampledFrom([]int{128, 256}).Draw(t, "chunks"),
		}, 0)
		r.kernel.holdBack = true
		w, err := dataplane.NewWorker(r.port, r.cache, dataplane.WorkerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		handler := rapid.SampledFrom([]dataplane.Handler{turnAround, replyWith}).Draw(t, "handler")
		if err := w.HandleRaw(0x88B5, handler); err != nil {
			t.Fatal(err)
		}
		now, delivered := core.Time(0), uint64(0)
		turn := func() {
			now++
			w.Poll(now)
			r.audit(t, w.Held())
		}
		t.Repeat(map[string]func(*rapid.T){
			"deliver": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					if !r.kernel.deliver(1, len(packet), 0) {
						break
					}
					copy(r.kernel.mem[r.kernel.last[0]:], packet)
					delivered++
				}
			},
			"turn": func(*rapid.T) { turn() },
			"blocked turn": func(t *rapid.T) {
				for range 2 {
					r.kernel.kick = append(r.kernel.kick, kickEvent{
						take: uint32(rapid.IntRange(0, 40).Draw(t, "take")),
						say: rapid.SampledFrom([]dataplane.Kick{
							dataplane.KickAgain,
							dataplane.KickBlocked,
						}).Draw(t, "say"),
					})
				}
				turn()
				r.kernel.kick = nil
			},
			"complete": func(t *rapid.T) { r.kernel.complete(rapid.IntRange(0, 64).Draw(t, "n")) },
		})
		for turns := 0; w.Next(now) <= now; turns++ {
			if turns > 1000 {
				t.Fatalf("still pending after %d turns: %+v, lent %+v", turns, w.Counters(),
					r.port.Lent())
			}
			r.kernel.complete(64)
			turn()
		}
		for len(r.kernel.flight) > 0 { // may be more than the completion ring holds
			r.kernel.complete(64)
			turn()
		}
		turn() // reaps
		c := w.Counters()
		dropped := c.Dropped[dataplane.ReasonNoFrame]
		if c.Packets != delivered || c.Replies+dropped != delivered ||
			len(r.kernel.sent) != int(c.Replies) || w.Held() != 0 || r.port.Lent().Tx != 0 {
			t.Fatalf("%d delivered, %d transmitted, %d held, lent %+v: %+v", delivered,
				len(r.kernel.sent), w.Held(), r.port.Lent(), c)
		}
	})
}
