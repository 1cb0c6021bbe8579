package xdp

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// bounce sends one frame back as the floor does it: rings and the system call, nothing else.
func (e *end) bounce() bool {
	if e.rings.Rx.Peek(1) == 0 {
		return false
	}
	d := e.rings.Rx.At(0)
	e.rings.Rx.Release(1)
	if e.rings.Completion.Peek(1) == 1 {
		chunk := e.rings.Completion.At(0)
		e.rings.Completion.Release(1)
		e.rings.Fill.Reserve(1)
		e.rings.Fill.Set(0, chunk)
		e.rings.Fill.Submit(1)
	}
	e.rings.Tx.Reserve(1)
	e.rings.Tx.Set(0, ring.Desc{Addr: d.Addr, Len: d.Len})
	e.rings.Tx.Submit(1)
	e.sock.KickTx()
	return true
}

func (p *portEnd) bounce() bool { return p.turn() > 0 }

// BenchmarkPingPong is the round trip of one small frame between two spinning threads, with the
// bare rings and with ports over them.
func BenchmarkPingPong(b *testing.B) {
	b.Run("rings", func(b *testing.B) {
		l := newLab(b, lab.PairOptions{})
		x, y := open(b, l, lab.A, setup{mode: Native}), open(b, l, lab.B, setup{mode: Native})
		x.send(x.write(frame(l, lab.A, 1, minFrame))...)
		pingPong(b, x.bounce, y.bounce)
	})
	b.Run("ports", func(b *testing.B) {
		l := newLab(b, lab.PairOptions{})
		x, y := openPort(b, l, lab.A, setup{mode: Native}), openPort(b, l, lab.B, setup{mode: Native})
		index, _ := x.cache.Alloc()
		n := copy(x.pool.Chunk(index), frame(l, lab.A, 1, minFrame))
		x.burst[0] = dataplane.Frame{Index: index, Len: uint16(n)}
		x.port.Send(x.burst[:1])
		x.port.Flush()
		pingPong(b, x.bounce, y.bounce)
	})
}

func pingPong(b *testing.B, near, far func() bool) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		for {
			for range 1000 {
				far()
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([]time.Duration, 0, b.N)
	for range b.N {
		start := time.Now()
		for !near() {
		}
		took = append(took, time.Since(start))
	}
	close(stop)
	<-done
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}
