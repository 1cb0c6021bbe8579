package baton

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Word(rapid.Uint32().Draw(t, "word"))
		o := Owner(rapid.IntRange(0, int(MaxOwner)).Draw(t, "owner"))
		n := w.Next(o)
		if n.Owner() != o || n.Epoch() != (w.Epoch()+1)%(1<<22) || n == w {
			t.Errorf("after %v comes %v, want owner %d in the next epoch", w, n, o)
		}
		if o.Bit() != 1<<(o%32) {
			t.Errorf("owner %d has bit %#x", o, o.Bit())
		}
	})
}

func TestOwnerThatCannotBe(t *testing.T) {
	defer func() {
		if s, ok := recover().(string); !ok || !strings.Contains(s, "1024") {
			t.Errorf("panic %q, want one with the number", s)
		}
	}()
	Word(0).Next(MaxOwner + 1)
}

// A party that meets the same word again, whatever woke it, wakes nobody again.
func TestPartySees(t *testing.T) {
	const self, other = 5, 7
	first := Word(0).Next(other)
	for _, c := range []struct {
		name  string
		words []Word
		want  []Move
	}{
		{"nobody's from the beginning", []Word{0, 0}, []Move{Rest, Rest}},
		{"another's", []Word{first, first}, []Move{Hand, Rest}},
		{"another's again", []Word{first, first.Next(other)}, []Move{Hand, Hand}},
		{"ours", []Word{first, first.Next(self)}, []Move{Hand, Work}},
		{"ours again", []Word{first.Next(self), first.Next(self).Next(self)}, []Move{Work, Work}},
		{
			"ours, then a third's",
			[]Word{Word(0).Next(self), Word(0).Next(self).Next(9)},
			[]Move{Work, Hand},
		},
		{
			"taken back",
			[]Word{Word(0).Next(self), Word(0).Next(self).Next(Nobody)},
			[]Move{Work, Rest},
		},
	} {
		p := NewParty(self)
		for i, w := range c.words {
			if got := p.See(w); got != c.want[i] {
				t.Errorf("%s: move %d for word %v, want %d", c.name, got, w, c.want[i])
			}
			if holds := c.want[i] == Work; p.Holds(w) != holds || p.Holding() != holds ||
				p.Holds(w.Next(self)) {
				t.Errorf("%s: after word %v, it holds: %v, want %v", c.name, w, p.Holding(), holds)
			}
		}
	}
}

// A party of nobody takes no core that is nobody's.
func TestPartyOfNobody(t *testing.T) {
	var p Party
	if got := p.See(Word(0).Next(Nobody)); got != Rest || p.Holds(Word(0).Next(Nobody)) {
		t.Errorf("move %d, want %d", got, Rest)
	}
}

func TestTurnsDoNotAllocate(t *testing.T) {
	page, err := NewPage(make([]byte, 8192), 2)
	if err != nil {
		t.Fatal(err)
	}
	load, err := NewLoad(make([]byte, 8192), 2)
	if err != nil {
		t.Fatal(err)
	}
	p, line := NewParty(1), load.Line(0)
	watch := NewWatch(line, 1, 1000)
	lender := NewLender(Deadlines{Yield: 50, Stuck: 1000}, 0)
	crew := &lineCrew{line}
	if n := testing.AllocsPerRun(100, func() {
		w := page.Grant(1, 1)
		lender.Granted(1, w)
		lender.Check(1, crew, true)
		p.See(page.Load(1))
		line.TakeUp(w)
		line.Become(Running)
		line.Beat()
		line.Queue(1, 1, 1)
		watch.Look(2, w)
		lender.Check(2, crew, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if !lender.Settled() {
		t.Error("the grant was not taken up")
	}
}

// lineCrew is a crew of one, as the iokernel sees it.
type lineCrew struct{ line *Line }

func (c *lineCrew) State(Owner) State { return State(c.line.state.Load()) }
func (c *lineCrew) Ack(Owner) Word    { return Word(c.line.ack.Load()) }
