package containers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dunlin-io/dunlin/proclet/arena"
)

// everything is a state that has one of each container.
type everything struct {
	Vec     Vec[uint64]
	Queue   Queue[uint32]
	Map     Map[uint64, uint64]
	Dict    Dict[uint16]
	Ordered OrderedMap[int32, uint64]
	Text    String
}

// model is the same on Go's heap.
type model struct {
	vec     []uint64
	queue   []uint32
	plain   map[uint64]uint64
	dict    map[string]uint16
	ordered map[int32]uint64
	text    string
}

// failer is what a testing.T, a testing.B and a rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newHeap(t failer, slot []byte, o arena.Options) *arena.Heap {
	t.Helper()
	a, err := arena.New(slot, o)
	if err != nil {
		t.Fatal(err)
	}
	return a.User()
}

// subject is an arena with everything, the model, and whether the arena may be full.
type subject struct {
	t     *rapid.T
	h     *arena.Heap
	slot  []byte
	root  arena.Ref[everything]
	model model
	fulls int
}

func newSubject(t *rapid.T, size int, o arena.Options) *subject {
	slot := make([]byte, size)
	h := newHeap(t, slot, o)
	types := arena.MustRegister[everything]()
	root, err := types.New(h)
	if err != nil {
		t.Fatal(err)
	}
	root.SetRoot(h)
	return &subject{t: t, h: h, slot: slot, root: root, model: model{
		plain: map[uint64]uint64{}, dict: map[string]uint16{}, ordered: map[int32]uint64{},
	}}
}

// done reports whether an operation happened; a full arena is allowed and changes nothing.
func (s *subject) done(err error) bool {
	s.t.Helper()
	if errors.Is(err, arena.ErrFull) {
		s.fulls++
		return false
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return true
}

// actions are what may happen to the state, each followed by the same on the model.
func (s *subject) actions() map[string]func(*rapid.T) {
	number := rapid.Uint64Range(0, 400)
	text := rapid.StringN(0, 12, 24)
	return map[string]func(*rapid.T){
		"vec append": func(t *rapid.T) {
			xs := rapid.SliceOfN(rapid.Uint64(), 0, 40).Draw(t, "xs")
			if s.done(s.root.Mut(s.h).Vec.AppendAll(s.h, xs)) {
				s.model.vec = append(s.model.vec, xs...)
			}
		},
		"vec change": func(t *rapid.T) {
			v, n := &s.root.Mut(s.h).Vec, len(s.model.vec)
			if n == 0 {
				return
			}
			i, x := rapid.IntRange(0, n-1).Draw(t, "i"), rapid.Uint64().Draw(t, "x")
			switch rapid.IntRange(0, 4).Draw(t, "how") {
			case 0:
				*v.MutAt(s.h, i) = x
				s.model.vec[i] = x
			case 1:
				v.Remove(s.h, i)
				s.model.vec = slices.Delete(s.model.vec, i, i+1)
			case 2:
				if s.done(v.Insert(s.h, i, x)) {
					s.model.vec = slices.Insert(s.model.vec, i, x)
				}
			case 3:
				if got, ok := v.Pop(s.h); !ok || got != s.model.vec[n-1] {
					t.Fatalf("popped %d, %v", got, ok)
				}
				s.model.vec = s.model.vec[:n-1]
			case 4:
				v.Truncate(i)
				s.model.vec = s.model.vec[:i]
			}
		},
		"vec of itself": func(*rapid.T) {
			v := &s.root.Mut(s.h).Vec
			if s.done(v.AppendAll(s.h, v.View(s.h))) {
				s.model.vec = append(s.model.vec, s.model.vec...)
			}
		},
		"queue push": func(t *rapid.T) {
			for i := range rapid.Uint32Range(1, 20).Draw(t, "n") {
				if s.done(s.root.Mut(s.h).Queue.Push(s.h, i)) {
					s.model.queue = append(s.model.queue, i)
				}
			}
		},
		"queue pop": func(t *rapid.T) {
			for range rapid.IntRange(1, 20).Draw(t, "n") {
				x, ok := s.root.Mut(s.h).Queue.Pop(s.h)
				if ok != (len(s.model.queue) > 0) || ok && x != s.model.queue[0] {
					t.Fatalf("popped %d, %v of %v", x, ok, s.model.queue)
				}
				if ok {
					s.model.queue = s.model.queue[1:]
				}
			}
		},
		"map put": func(t *rapid.T) {
			for range rapid.IntRange(1, 30).Draw(t, "n") {
				k, x := number.Draw(t, "key"), rapid.Uint64().Draw(t, "x")
				if s.done(s.root.Mut(s.h).Map.Put(s.h, k, x)) {
					s.model.plain[k] = x
				}
			}
		},
		"map delete": func(t *rapid.T) {
			for range rapid.IntRange(1, 30).Draw(t, "n") {
				k := number.Draw(t, "key")
				_, want := s.model.plain[k]
				if got := s.root.Mut(s.h).Map.Delete(s.h, k); got != want {
					t.Fatalf("deleted %d: %v", k, got)
				}
				delete(s.model.plain, k)
			}
		},
		"dict put": func(t *rapid.T) {
			k, x := text.Draw(t, "key"), rapid.Uint16().Draw(t, "x")
			if s.done(s.root.Mut(s.h).Dict.Put(s.h, k, x)) {
				s.model.dict[k] = x
			}
		},
		"dict delete": func(t *rapid.T) {
			keys := append(slices.Sorted(maps.Keys(s.model.dict)), "none")
			k := rapid.SampledFrom(keys).Draw(t, "key")
			_, want := s.model.dict[k]
			if got := s.root.Mut(s.h).Dict.Delete(s.h, k); got != want {
				t.Fatalf("deleted %q: %v", k, got)
			}
			delete(s.model.dict, k)
		},
		"ordered put": func(t *rapid.T) {
			first := int32(number.Draw(t, "first"))
			step := rapid.Int32Range(-2, 2).Draw(t, "step")
			for i := range rapid.Int32Range(1, 90).Draw(t, "n") {
				k := first + i*step
				if s.done(s.root.Mut(s.h).Ordered.Put(s.h, k, uint64(i))) {
					s.model.ordered[k] = uint64(i)
				}
			}
		},
		"ordered delete": func(t *rapid.T) {
			first := int32(number.Draw(t, "first"))
			step := rapid.Int32Range(-2, 2).Draw(t, "step")
			for i := range rapid.Int32Range(1, 90).Draw(t, "n") {
				k := first + i*step
				_, want := s.model.ordered[k]
				if got := s.root.Mut(s.h).Ordered.Delete(s.h, k); got != want {
					t.Fatalf("deleted %d: %v", k, got)
				}
				delete(s.model.ordered, k)
			}
		},
		"text": func(t *rapid.T) {
			want := text.Draw(t, "text")
			made, err := NewString(s.h, want)
			if s.done(err) {
				e := s.root.Mut(s.h)
				e.Text.Free(s.h)
				e.Text, s.model.text = made, want
			}
		},
		"free one": func(t *rapid.T) {
			e := s.root.Mut(s.h)
			switch rapid.IntRange(0, 12).Draw(t, "which") {
			case 0:
				e.Vec.Free(s.h)
				s.model.vec = nil
			case 1:
				e.Queue.Free(s.h)
				s.model.queue = nil
			case 2:
				e.Map.Free(s.h)
				clear(s.model.plain)
			case 3:
				e.Dict.Free(s.h)
				clear(s.model.dict)
			case 4:
				e.Ordered.Free(s.h)
				clear(s.model.ordered)
			}
		},
		"copy elsewhere": func(t *rapid.T) {
			slot := make([]byte, s.h.Arena().Cap())
			b, err := arena.Install(slot, s.h.Arena().Image(nil), arena.Options{})
			if err != nil {
				t.Fatal(err)
			}
			s.h.Arena().Close()
			for i := range s.slot { // nothing may refer to it
				s.slot[i] = 0xA5
			}
			s.slot = slot
			s.h = b.User()
			s.root = arena.MustRegister[everything]().Root(s.h)
		},
		"": func(t *rapid.T) { s.compare(t) },
	}
}

// compare demands that everything is as in the model.
func (s *subject) compare(t *rapid.T) {
	t.Helper()
	if err := s.h.Arena().Audit(); err != nil {
		t.Fatal(err)
	}
	e := s.root.Get(s.h)
	if got := e.Vec.View(s.h); !slices.Equal(got, s.model.vec) {
		t.Fatalf("vec is %v, want %v", got, s.model.vec)
	}
	if got := slices.Collect(e.Queue.All(s.h)); !slices.Equal(got, s.model.queue) {
		t.Fatalf("queue is %v, want %v", got, s.model.queue)
	}
	same(t, "map", maps.Collect(e.Map.All(s.h)), s.model.plain, e.Map.Len())
	for k, want := range s.model.plain {
		if got, ok := e.Map.Get(s.h, k); !ok || got != want {
			t.Fatalf("map has %d, %v under %d, want %d", got, ok, k, want)
		}
	}
	dict := map[string]uint16{}
	for k, x := range e.Dict.All(s.h) {
		dict[k.Go(s.h)] = x
	}
	same(t, "dict", dict, s.model.dict, e.Dict.Len())
	for k, want := range s.model.dict {
		if got, ok := e.Dict.Get(s.h, k); !ok || got != want {
			t.Fatalf("dict has %d, %v under %q, want %d", got, ok, k, want)
		}
	}
	s.compareOrdered(t, e)
	if got := e.Text.Go(s.h); got != s.model.text {
		t.Fatalf("text is %q, want %q", got, s.model.text)
	}
}

func same[K cmp.Ordered, V comparable](t *rapid.T, name string, got, want map[K]V, n int) {
	t.Helper()
	if !maps.Equal(got, want) || n != len(want) {
		t.Fatalf("%s has %d entries %v, want %v", name, n, got, want)
	}
}

func (s *subject) compareOrdered(t *rapid.T, e *everything) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(s.model.ordered))
	at := 0
	for k, x := range e.Ordered.All(s.h) {
		if at == len(keys) || k != keys[at] || x != s.model.ordered[k] {
			t.Fatalf("entry %d of %d is %d: %d", at, len(keys), k, x)
		}
		at++
	}
	if at != len(keys) || e.Ordered.Len() != at {
		t.Fatalf("%d entries, %d by the account, want %d", at, e.Ordered.Len(), len(keys))
	}
	for i, k := range keys {
		if x, ok := e.Ordered.Get(s.h, k); !ok || x != s.model.ordered[k] {
			t.Fatalf("%d, %v under %d", x, ok, k)
		}
		if i%16 != 0 {
			continue
		}
		n := 0
		for range e.Ordered.Between(s.h, k, k+50) {
			n++
		}
		to, _ := slices.BinarySearch(keys, k+50)
		if n != to-i {
			t.Fatalf("%d entries from %d to %d, want %d", n, k, k+50, to-i)
		}
	}
	if len(keys) > 0 {
		least, _, _ := e.Ordered.Min(s.h)
		most, _, _ := e.Ordered.Max(s.h)
		if least != keys[0] || most != keys[len(keys)-1] {
			t.Fatalf("keys from %d to %d, want %d to %d", least, most, keys[0], keys[len(keys)-1])
		}
	}
}

// TestModel compares all containers in one arena with Go's, over any operations and moves to other
// addresses.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSubject(t, arena.MinCap, arena.Options{Seed: rapid.Uint64().Draw(t, "seed")})
		t.Repeat(s.actions())
	})
}

// TestFullAtAnyPoint lets each allocation of each operation fail once: what was there before stays.
func TestFullAtAnyPoint(t *testing.T) {
	filler := arena.MustRegister[[512]byte]()
	small := arena.MustRegister[uint64]()
	fulls := 0
	rapid.Check(t, func(t *rapid.T) {
		s := newSubject(t, arena.MinCap, arena.Options{})
		var fills []arena.Ref[[512]byte]
		for { // up to the last word
			r, err := filler.New(s.h)
			if err != nil {
				break
			}
			fills = append(fills, r)
		}
		for {
			if _, err := small.New(s.h); err != nil {
				break
			}
		}
		actions := s.actions()
		names := slices.Sorted(maps.Keys(actions))
		for len(fills) > 0 {
			for range 6 {
				actions[rapid.SampledFrom(names).Draw(t, "action")](t)
			}
			for range min(len(fills), rapid.IntRange(1, 8).Draw(t, "room")) {
				last := fills[len(fills)-1]
				fills = fills[:len(fills)-1]
				if err := last.Free(s.h); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.compare(t)
		fulls += s.fulls
	})
	if fulls == 0 {
		t.Error("the arena was never full")
	}
}

func ExampleMap() {
	a, err := arena.New(make([]byte, arena.MinCap), arena.Options{})
	if err != nil {
		panic(err)
	}
	var prices Map[uint32, uint64]
	if err := prices.Put(a.User(), 7, 250); err != nil {
		panic(err)
	}
	fmt.Println(prices.Get(a.User(), 7))
	// Output: 250 true
}
