package baton

import (
	"encoding/binary"
	"errors"
	"testing"
)

func TestPageIsSeenByWhoeverOpensIt(t *testing.T) {
	mem := make([]byte, 8192)
	p, err := NewPage(mem, 3)
	if err != nil {
		t.Fatal(err)
	}
	q, err := OpenPage(mem)
	if err != nil {
		t.Fatal(err)
	}
	if q.Cores() != 3 {
		t.Errorf("%d cores, want 3", q.Cores())
	}
	w := p.Grant(2, 1000)
	if q.Load(2) != w || w.Owner() != 1000 || w.Epoch() != 1 || q.Load(1) != 0 {
		t.Errorf("words %v and %v, want nobody's and %v", q.Load(1), q.Load(2), w)
	}
	if q.Cell(2).Address().Load() != uint32(w) {
		t.Errorf("the kernel compares %#x, want %#x", q.Cell(2).Address().Load(), uint32(w))
	}
	// Other programs read it by these numbers.
	if got := Word(binary.NativeEndian.Uint32(mem[64+2*64:])); got != w {
		t.Errorf("at offset 192 is %v, want %v", got, w)
	}
}

func TestLoadIsSeenByWhoeverOpensIt(t *testing.T) {
	mem := make([]byte, 8192)
	l, err := NewLoad(mem, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, err := OpenLoad(mem)
	if err != nil {
		t.Fatal(err)
	}
	line := m.Line(1)
	line.Queue(3, 111, 555)
	line.Begin(222)
	line.Timer(333)
	line.Beat()
	line.TakeUp(444)
	line.Become(Parked)
	watch := NewWatch(l.Line(1), 444&Owner(MaxOwner), 1)
	want := Sight{Waited: 889, Worked: 778, Busy: true, Timer: 333, Queued: 3, Ack: 444, State: Parked}
	if got := watch.Look(1000, 0); got != want {
		t.Errorf("sight %+v, want %+v", got, want)
	}
	if got := watch.Due(); got != 555 {
		t.Errorf("due at %d, want 555", got)
	}
	line.End()
	if got := watch.Look(1000, 0); got.Worked != 0 {
		t.Errorf("a request is in hand for %d ns after its end", got.Worked)
	}
	if m.Workers() != 2 {
		t.Errorf("%d workers, want 2", m.Workers())
	}
}

func TestPageBytes(t *testing.T) {
	for _, c := range []struct{ lines, page, want int }{
		{1, 4096, 4096}, {63, 4096, 4096}, {64, 4096, 8192}, {1, 65536, 65536},
	} {
		if got := PageBytes(c.lines, c.page); got != c.want {
			t.Errorf("%d lines on pages of %d: %d bytes, want %d", c.lines, c.page, got, c.want)
		}
	}
}

func TestPagesThatCannotBeMade(t *testing.T) {
	for name, c := range map[string]struct {
		mem   []byte
		lines int
	}{
		"no lines":     {make([]byte, 4096), 0},
		"less":         {make([]byte, 4096), -1},
		"too many":     {make([]byte, 4096*(MaxLines+64)), MaxLines + 1},
		"no room":      {make([]byte, 4096), 64},
		"no memory":    {nil, 1},
		"not in place": {make([]byte, 4096)[8:], 2},
	} {
		if _, err := NewPage(c.mem, c.lines); err == nil {
			t.Errorf("%s: made a baton page", name)
		}
		if _, err := NewLoad(c.mem, c.lines); err == nil {
			t.Errorf("%s: made a load page", name)
		}
	}
}

func TestPagesOfSomebodyElse(t *testing.T) {
	good := make([]byte, 4096)
	if _, err := NewPage(good, 63); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"zero":          func([]byte) []byte { return make([]byte, 4096) },
		"empty":         func([]byte) []byte { return nil },
		"cut short":     func(b []byte) []byte { return b[:2048] },
		"other version": func(b []byte) []byte { b[8]++; return b },
		"other magic":   func(b []byte) []byte { b[0]++; return b },
		"no lines":      func(b []byte) []byte { b[12] = 0; return b },
		"more lines":    func(b []byte) []byte { b[12]++; return b },
		"2^31 lines":    func(b []byte) []byte { b[15] = 0x80; return b },
	} {
		b := change(append(make([]byte, 0, 4096), good...))
		if _, err := OpenPage(b); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: error %v, want ErrLayout", name, err)
		}
	}
	if _, err := OpenLoad(good); !errors.Is(err, ErrLayout) {
		t.Errorf("a baton page opened as load page: %v", err)
	}
}
