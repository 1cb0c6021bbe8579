package iokernel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// TestWorkersShareAPool has the workers of a runtime on threads of their own, passing chunks to
// each other through their small pool: one must not hand in a chunk before the other's index says
// that it took it back, or an honest runtime would be evicted.
func TestWorkersShareAPool(t *testing.T) {
	const workers, packets = 3, 25_000
	r := newRig(t, 1)
	r.nics[0].mute = true
	g := r.attach("g", shape{workers: workers, chunks: 128, lend: 16}, Endpoint{EtherType: typeA})
	out := rawPacket(peerMAC, hostMAC, typeA, 60, 1)
	itself := rawPacket(hostMAC, hostMAC, typeA, 60, 1)
	// More threads than CPUs, so that workers lose theirs in the middle of everything.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * workers))
	var quit atomic.Bool
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := 0; !quit.Load(); i++ {
				if i%3 == 0 {
					g.send(w, itself)
				} else {
					g.send(w, out)
				}
				if i%7 == 0 {
					g.recv(w)
				}
			}
		})
	}
	for g.rt.Counters().TxPackets < packets && !t.Failed() {
		r.Poll(0)
		if e, ok := r.NextEviction(); ok {
			t.Errorf("evicted after %d packets: it %s", g.rt.Counters().TxPackets, e.Violation)
		}
	}
	quit.Store(true)
	wg.Wait()
}
