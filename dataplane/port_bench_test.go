package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
)

// echoBurst receives n packets, sends them back and flushes: what a worker does to its port.
func echoBurst(r *rig, burst []dataplane.Frame, n int) {
	for range n {
		r.kernel.deliver(1, 60, 'x')
	}
	got := r.port.Recv(burst)
	r.port.Send(burst[:got])
	r.port.Flush()
	r.kernel.sent, r.kernel.sentLens = r.kernel.sent[:0], r.kernel.sentLens[:0]
}

func TestPortDoesNotAllocate(t *testing.T) {
	r := newRig(t, small, 64)
	burst := make([]dataplane.Frame, dataplane.MaxBurst)
	for range 10 { // the kernel's own lists grow
		echoBurst(r, burst, 32)
	}
	if n := testing.AllocsPerRun(200, func() { echoBurst(r, burst, 32) }); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	if n := testing.AllocsPerRun(200, func() { r.port.Recv(burst); r.port.Pending() }); n != 0 {
		t.Errorf("%v allocations an idle turn", n)
	}
}

// BenchmarkPort is the cost per frame of receiving and sending a burst of 32, the playing of the
// kernel included, which is about as much again.
func BenchmarkPort(b *testing.B) {
	r := newRig(b, dataplane.LayoutConfig{
		Workers: 1, RingEntries: 256, ChunkBytes: 2048,
		Chunks: 1024,
	}, 0)
	burst := make([]dataplane.Frame, dataplane.MaxBurst)
	for b.Loop() {
		echoBurst(r, burst, 32)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/frame")
}

func BenchmarkPortIdle(b *testing.B) {
	r := newRig(b, small, 64)
	burst := make([]dataplane.Frame, dataplane.MaxBurst)
	for b.Loop() {
		r.port.Recv(burst)
	}
}

func BenchmarkPool(b *testing.B) {
	r := newRig(b, small, 64)
	for b.Loop() {
		index, _ := r.cache.Alloc()
		r.cache.Free(index)
	}
}
