package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

// An object of pairs and threadtest.
const objectBytes = 64

type object struct{ words [objectBytes / 8]uint64 }

// mixSizes is what a mix draws its sizes from, most of them small. (guess: records and keys, now
// and then a buffer)
var mixSizes = [16]int{16, 16, 24, 32, 32, 48, 64, 64, 96, 128, 128, 192, 256, 384, 512, 1024}

// mixLive is how many blocks of a mix live at a time.
const mixLive = 1024

// each makes the works of a row. It and what returns functions that make rows must not be inlined:
// a closure within a closure would be compiled again, without its own calls inlined, and the loops
// in here would then take twice as long as what they measure. (measured, go1.26)
//
//go:noinline
func each(workers int, make func(worker int) (work, error)) ([]work, error) {
	var works []work
	for w := range workers {
		f, err := make(w)
		if err != nil {
			return nil, err
		}
		works = append(works, f)
	}
	return works, nil
}

// must ends the program where a contestant has no memory left: all of them need little.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// openArenaPair allocates, touches and frees an object of 64 bytes, in an arena of each worker.
//
//go:noinline
func openArenaPair(workers int) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		objects := arena.MustRegister[object]()
		works, err := each(workers, func(worker int) (work, error) {
			a, err := b.newArena(worker, 1<<20)
			if err != nil {
				return nil, err
			}
			h := a.User()
			return func(n int) {
				for range n {
					r, err := objects.New(h)
					must(err)
					r.Get(h).words[0] = 1
					must(r.Free(h))
				}
			}, nil
		})
		return b.crew(batchOps, works...), err
	}
}

// openArenaMix replaces one of 1024 blocks by one of another size, at random.
//
//go:noinline
func openArenaMix(workers int) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		bytes := arena.MustRegister[byte]()
		works, err := each(workers, func(worker int) (work, error) {
			a, err := b.newArena(worker, 16<<20)
			if err != nil {
				return nil, err
			}
			h, draw := a.User(), random(worker+1)
			live := make([]arena.Span[byte], mixLive)
			return func(n int) {
				for range n {
					x := draw.next()
					at := &live[x>>32%mixLive]
					if at.Len() > 0 {
						must(at.Free(h))
					}
					var err error
					*at, err = bytes.NewSpan(h, mixSizes[x>>60])
					must(err)
					at.View(h)[0] = 1
				}
			}, nil
		})
		return b.crew(batchOps, works...), err
	}
}

// openGoNew allocates objects that nobody keeps, and pays for their collection.
//
//go:noinline
func openGoNew(workers int) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		works, _ := each(workers, func(int) (work, error) {
			// It keeps the compiler from having objects on the stack, in a cache line of its own.
			kept := &struct {
				last *object
				_    [120]byte
			}{}
			return func(n int) {
				for range n {
					kept.last = new(object)
					kept.last.words[0] = 1
				}
			}, nil
		})
		return collected{b.crew(4*collectBytes/objectBytes, works...)}, nil
	}
}

// openGoMix is openArenaMix on Go's heap: what is replaced is left to the collector.
//
//go:noinline
func openGoMix(workers int) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		works, _ := each(workers, func(worker int) (work, error) {
			draw, live := random(worker+1), make([][]byte, mixLive)
			return func(n int) {
				for range n {
					x := draw.next()
					block := make([]byte, mixSizes[x>>60])
					block[0] = 1
					live[x>>32%mixLive] = block
				}
			}, nil
		})
		const meanBytes = 192
		return collected{b.crew(4*collectBytes/meanBytes, works...)}, nil
	}
}

// collectBytes is after how many allocated bytes Go collects while its rows run: what it does in a
// program with a small heap, where the first collection comes at 4 MiB. A batch has four.
const collectBytes = 4 << 20

// collected is a crew that allocates on Go's heap, with the collector on.
type collected struct{ *crew }

func (c collected) run(warm, measure core.Time) ([]uint32, error) {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	// The bench's own heap must not make collections rarer.
	percent := 100 * collectBytes / max(live[0].Value.Uint64(), collectBytes)
	debug.SetGCPercent(max(1, int(percent)))
	defer debug.SetGCPercent(-1)
	return c.crew.run(warm, measure)
}
