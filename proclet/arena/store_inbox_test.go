package arena

import (
	"sync"
	"sync/atomic"
	"testing"
)

// pusher is a push, one step at a time: look at the top, then exchange it; after a failed exchange
// look again.
type pusher struct {
	c    *cell
	top  *cell
	seen bool
	done bool
	lost bool // it found the inbox closed
}

func (p *pusher) step(q *inbox) {
	if !p.seen {
		if p.top = q.head.Load(); p.top == &q.ended {
			p.done, p.lost = true, true
			return
		}
		p.seen = true
		return
	}
	p.seen = false
	p.done = q.replace(p.c, p.top)
}

// TestInboxInEveryOrder goes through all orders of the steps of three pushes and an owner who takes
// once and then closes: each slot arrives once, or its pusher knows that it did not.
func TestInboxInEveryOrder(t *testing.T) {
	const pushers = 3
	orders := 0
	var explore func(order []int)
	explore = func(order []int) {
		var q inbox
		var all [pushers]pusher
		for i := range all {
			all[i].c = &cell{index: uint8(i)}
		}
		got := map[*cell]int{}
		collect := func(c *cell) {
			for ; c != nil; c = c.next {
				got[c]++
			}
		}
		owner := 0
		for _, who := range order {
			switch {
			case who < pushers:
				all[who].step(&q)
			case owner == 1:
				collect(q.close())
				owner++
			default:
				collect(q.take())
				owner++
			}
		}
		var next []int
		for i := range all {
			if !all[i].done {
				next = append(next, i)
			}
		}
		if owner < 2 {
			next = append(next, pushers)
		}
		for _, who := range next {
			explore(append(order[:len(order):len(order)], who))
		}
		if len(next) > 0 {
			return
		}
		orders++
		for i := range all {
			if n := got[all[i].c]; all[i].lost && n != 0 || !all[i].lost && n != 1 {
				t.Fatalf("order %v: slot %d arrived %d times, refused %v", order, i, n, all[i].lost)
			}
		}
	}
	explore(nil)
	if orders < 1000 {
		t.Errorf("%d orders were tried", orders)
	}
}

// TestInboxOnThreads: what threads push while the owner takes all arrives once.
func TestInboxOnThreads(t *testing.T) {
	const pushers, each = 3, 20_000
	var q inbox
	cells := make([]cell, pushers*each)
	var group sync.WaitGroup
	var pushed atomic.Int64
	for p := range pushers {
		group.Go(func() {
			for i := range each {
				if !q.push(&cells[p*each+i]) {
					t.Error("refused, and nobody has closed it")
				}
				pushed.Add(1)
			}
		})
	}
	got := make(map[*cell]bool, len(cells))
	for len(got) < len(cells) {
		all := pushed.Load() == int64(len(cells))
		for c := q.take(); c != nil; c = c.next {
			if got[c] {
				t.Fatal("a slot arrived twice")
			}
			got[c] = true
		}
		if all && len(got) < len(cells) {
			t.Fatalf("%d of %d arrived", len(got), len(cells))
		}
	}
	group.Wait()
}

// TestStoreOnThreads: workers make slots, pass them on, and destroy what they are given, with one
// that retires and comes back. Slots that two destroy at the same time are destroyed once.
func TestStoreOnThreads(t *testing.T) {
	st, _ := plainStore(t, 256<<20, StoreOptions{Slack: 1 << 20, Global: 1 << 20})
	const workers, turns = 3, 3000
	passed := make([]chan *tenant, workers)
	for i := range passed {
		passed[i] = make(chan *tenant, 64)
	}
	var twice atomic.Int64
	var group sync.WaitGroup
	for w := range workers {
		l := local(t, st)
		group.Go(func() { l = work(t, st, l, passed, w, turns, &twice); l.Close() })
	}
	group.Wait()
	l := local(t, st)
	for _, c := range passed {
		close(c)
		for w := range c {
			w.check(t)
			if err := l.Destroy(w.slot, w.dirty, w.slot.Populated()); err != nil {
				t.Error(err)
			}
		}
	}
	finish(t, st, []*Local{l}, nil)
	if twice.Load() == 0 {
		t.Error("no slot was destroyed twice")
	}
}

func work(t *testing.T, st *Store, l *Local, passed []chan *tenant, me, turns int,
	twice *atomic.Int64,
) *Local {
	for turn := range turns {
		if turn%1000 == 999 && me == 0 {
			l.Close()
			l = local(t, st)
		}
		s, err := l.Create(MinCap << (turn % 3))
		if err != nil {
			t.Error(err)
			return l
		}
		w := &tenant{slot: s, mark: byte(me + 1)}
		w.write(t, int64(turn%5)*3000)
		select {
		case passed[(me+turn)%len(passed)] <- w:
		default:
			if err := l.Destroy(s, w.dirty, s.Populated()); err != nil {
				t.Error(err)
			}
		}
		select {
		case w := <-passed[me]:
			var racer sync.WaitGroup
			populated := w.slot.Populated()
			if turn%50 == 0 {
				racer.Go(func() {
					other, err := st.Local()
					if err != nil {
						t.Error(err)
						return
					}
					if other.Destroy(w.slot, w.dirty, populated) != nil {
						twice.Add(1)
					}
					other.Close()
				})
			}
			if l.Destroy(w.slot, w.dirty, populated) != nil {
				twice.Add(1)
				if turn%50 != 0 {
					t.Error("refused, and nobody else destroyed it")
				}
			}
			racer.Wait()
		default:
		}
	}
	return l
}
