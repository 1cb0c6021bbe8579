package ring

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// TestHammer has two goroutines push entries through a ring that starts near 2^32, by bursts of random
// size, and checks that each arrives once, whole, in order.
func TestHammer(t *testing.T) {
	const total = 50_000
	for _, n := range []uint32{1, 8, 64} {
		mem := shared(n)
		setIndices(mem, math.MaxUint32-total/2)
		p, c := ends[Desc](t, mem, n)
		var both sync.WaitGroup
		both.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for put := uint32(0); put < total; {
				room := min(p.Reserve(1+random.Uint32N(2*n)), total-put)
				if room == 0 {
					runtime.Gosched()
				}
				for i := range room {
					p.Set(i, value(put+i))
				}
				p.Submit(room)
				put += room
			}
		})
		both.Go(func() {
			random := rand.New(rand.NewPCG(uint64(n), 2))
			for got, wrong := uint32(0), 0; got < total; {
				take := c.Peek(1 + random.Uint32N(2*n))
				if take == 0 {
					runtime.Gosched()
				}
				for i := range take {
					if v := c.At(i); v != value(got+i) && wrong < 3 { // say so, and let the other end
						t.Errorf("ring of %d: entry %d is %+v, want %+v", n, got+i, v, value(got+i))
						wrong++
					}
				}
				c.Release(take)
				got += take
			}
		})
		both.Wait()
		if p.Broken() || c.Broken() || c.Any() || p.Outstanding() != 0 {
			t.Errorf("ring of %d: broken %t %t, left %d", n, p.Broken(), c.Broken(), p.Outstanding())
		}
	}
}

// TestWakeupInEveryOrder interleaves the steps of "publish, then look whether to wake" with those of
// "announce sleep, then look again" in every order, and finds none in which an entry waits for a
// sleeper that nobody wakes.
func TestWakeupInEveryOrder(t *testing.T) {
	const producerSteps, consumerSteps = 3, 2
	orders := 0
	for order := range 1 << (producerSteps + consumerSteps) {
		if bits.OnesCount(uint(order)) != producerSteps {
			continue
		}
		orders++
		p, c := ends[uint64](t, shared(4), 4)
		var woken, asleep bool
		producer := []func(){
			func() { p.Set(0, 7) },
			func() { p.Submit(p.Reserve(1)) },
			func() { woken = p.NeedWakeup() },
		}
		consumer := []func(){
			func() { c.SetNeedWakeup(true) },
			func() { asleep = !c.Any() },
		}
		for bit := range producerSteps + consumerSteps {
			from := &consumer
			if order>>bit&1 == 1 {
				from = &producer
			}
			(*from)[0]()
			*from = (*from)[1:]
		}
		if asleep && !woken {
			t.Errorf("order %05b: an entry waits, the consumer sleeps and nobody wakes it", order)
		}
	}
	if orders != 10 {
		t.Errorf("%d orders, want 10", orders)
	}
}

// TestWakeupOnTwoThreads does the same with real threads, over and over: a lost wake-up would leave the
// consumer on its channel for ever, and the test would not end.
func TestWakeupOnTwoThreads(t *testing.T) {
	const total = 20_000
	p, c := ends[uint64](t, shared(4), 4)
	bell := make(chan struct{}, 1)
	var both sync.WaitGroup
	both.Go(func() {
		for put := uint64(0); put < total; {
			if p.Reserve(1) == 0 {
				runtime.Gosched()
				continue
			}
			p.Set(0, put)
			p.Submit(1)
			put++
			if p.NeedWakeup() {
				select {
				case bell <- struct{}{}:
				default:
				}
			}
		}
	})
	both.Go(func() {
		for got := uint64(0); got < total; {
			n := c.Peek(4)
			for i := range n {
				if v := c.At(i); v != got+uint64(i) {
					t.Errorf("entry %d is %d", got+uint64(i), v)
				}
			}
			c.Release(n)
			got += uint64(n)
			if n > 0 || got == total {
				continue
			}
			c.SetNeedWakeup(true)
			if !c.Any() {
				<-bell
			}
			c.SetNeedWakeup(false)
		}
	})
	both.Wait()
}
