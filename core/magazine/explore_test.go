package magazine

import (
	"fmt"
	"testing"
)

// TestDepotInEveryOrder lets workers trade at the depot and tries every order of their accesses to
// shared words, with the real exchange. Whatever the order, each magazine is on one stack or in one
// hand, and at most one thread has it. Without tags that fails, which shows that the orders that
// matter are among those that were tried.
func TestDepotInEveryOrder(t *testing.T) {
	take, give := trader{from: full, to: empty}, trader{from: empty, to: full}
	again := trader{from: full, to: full}
	for _, c := range []struct {
		name     string
		crew     [3]trader
		needsTag bool
	}{
		{"three take full ones", [3]trader{take, take, take}, false},
		{"two take, one gives", [3]trader{take, take, give}, true},
		{"one takes, two give", [3]trader{take, give, give}, true},
		{"two put back, one takes", [3]trader{again, again, take}, true},
	} {
		for _, tagged := range []bool{true, false} {
			x := explorer{tagged: tagged, seen: map[world]bool{}}
			bad := x.walk(newWorld(c.crew))
			if broken := bad != ""; broken != (c.needsTag && !tagged) {
				t.Errorf("%s, tagged %v: %q", c.name, tagged, bad)
			}
			t.Logf("%s, tagged %v: %d states", c.name, tagged, len(x.seen))
		}
	}
}

// Stacks of the model.
const (
	full = iota
	empty
	stacks
)

const (
	magazines = 7 // 2 on each stack, 3 in hands
	rounds    = 2 // trades of each worker
)

// trader is a worker that pops from one stack and pushes what it had onto another.
type trader struct {
	from, to uint8
	at       uint8  // its next step
	trades   uint8  // done
	mine     uint32 // magazine in its hand
	popped   uint32 // and another, during a trade
	old      uint64 // head, as it read it
	below    uint32
}

// world is all that there is, and can be compared.
type world struct {
	heads   [stacks]uint64
	next    [magazines]uint32
	traders [3]trader
}

// nobody is no magazine.
const nobody = magazines

func newWorld(crew [3]trader) (w world) {
	for i := range uint32(4) {
		head := &w.heads[i/2]
		w.next[i] = uint32(*head)
		*head = *head>>32<<32 | uint64(i+1)
	}
	for i := range crew {
		crew[i].mine, crew[i].popped = uint32(4+i), nobody
	}
	w.traders = crew
	return w
}

type explorer struct {
	tagged bool
	seen   map[world]bool
}

// walk goes through everything that can happen from w on and returns what is wrong.
func (x *explorer) walk(w world) string {
	if x.seen[w] {
		return ""
	}
	x.seen[w] = true
	if bad := w.check(); bad != "" {
		return bad
	}
	for i := range w.traders {
		if w.traders[i].trades == rounds {
			continue
		}
		n := w
		x.step(&n, &n.traders[i])
		if bad := x.walk(n); bad != "" {
			return bad
		}
	}
	return ""
}

// step is one access to a shared word, as stack's push and pop make them.
func (x *explorer) step(w *world, p *trader) {
	switch p.at {
	case 0, 3:
		p.old = w.heads[[...]uint8{p.from, p.from, p.from, p.to}[p.at]]
		p.at++
		if p.at == 1 && uint32(p.old) == 0 { // nothing to pop
			*p = trader{
				from: p.from, to: p.to, trades: p.trades + 1, mine: p.mine, popped: nobody,
			}
		}
	case 1:
		p.below = w.next[uint32(p.old)-1]
		p.at++
	case 2:
		p.at = 0
		if x.replace(&w.heads[p.from], p.old, p.below) {
			p.popped, p.at = uint32(p.old)-1, 3
		}
		p.below = 0
	case 4:
		w.next[p.mine] = uint32(p.old)
		p.at++
	case 5:
		p.at = 3
		if x.replace(&w.heads[p.to], p.old, p.mine+1) {
			*p = trader{
				from: p.from, to: p.to, trades: p.trades + 1, mine: p.popped, popped: nobody,
			}
		}
	}
}

func (x *explorer) replace(head *uint64, old uint64, top uint32) bool {
	if !x.tagged {
		if *head != old {
			return false
		}
		*head = uint64(top)
		return true
	}
	var s stack
	s.head.Store(*head)
	ok := s.replace(old, top)
	*head = s.head.Load()
	return ok
}

// check counts in how many places each magazine is.
func (w *world) check() string {
	var places [magazines + 1]int
	for _, head := range w.heads {
		n := 0
		for at := uint32(head); at != 0; at = w.next[at-1] {
			places[at-1]++
			if n++; n > magazines {
				return "a stack has a ring"
			}
		}
	}
	for _, p := range w.traders {
		places[p.mine]++
		places[p.popped]++
	}
	for i, n := range places[:magazines] {
		if n != 1 {
			return fmt.Sprintf("magazine %d is in %d places", i, n)
		}
	}
	return ""
}
