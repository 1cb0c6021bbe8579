package seal

import (
	"sync"
	"testing"
)

// TestLanesInParallel: two senders on two cores share a session and nothing else.
func TestLanesInParallel(t *testing.T) {
	a, b := keysOf(0)
	var all sync.WaitGroup
	for lane := range uint16(2) {
		all.Go(func() {
			s, r := a.Sender(lane, 0), b.Receiver(lane)
			for i := range 2000 {
				f := sealed(t, s, "text")
				if f.counter != uint64(i) {
					t.Errorf("lane %d: counter %d, want %d", lane, f.counter, i)
					return
				}
				if text, reason := f.open(r, 0); reason != OK || text != "text" {
					t.Errorf("lane %d: %v", lane, reason)
					return
				}
			}
		})
	}
	all.Wait()
}
