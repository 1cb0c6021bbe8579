package vmem

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkPair allocates and frees one size in an arena with 10,000 other segments.
func BenchmarkPair(b *testing.B) {
	for _, caches := range []int{0, 8} {
		for _, size := range []uint64{4096, 8 * 4096, 1 << 20} {
			b.Run(fmt.Sprintf("caches=%d/%dKiB", caches, size>>10), func(b *testing.B) {
				a := fragmented(b, Config{Quantum: 4096, Caches: caches, Segments: 30_000})
				for b.Loop() {
					at, err := a.Alloc(size)
					if err == nil {
						err = a.Free(at, size)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// fragmented returns an arena with 10,000 allocations of mixed sizes and as many holes.
func fragmented(b *testing.B, c Config) *Arena {
	a := newArena(b, c, 1<<46, 1<<44)
	random := rand.New(rand.NewPCG(1, 2))
	var all []run
	for range 20_000 {
		size := 4096 << random.IntN(8)
		at, err := a.Alloc(uint64(size))
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, run{at, uint64(size)})
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, r := range all[:10_000] {
		if err := a.Free(r.start, r.size); err != nil {
			b.Fatal(err)
		}
	}
	return a
}

// BenchmarkAlignedPair does it with slots aligned to their size, as proclet arenas are.
func BenchmarkAlignedPair(b *testing.B) {
	for _, size := range []uint64{64 << 10, 1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			a := fragmented(b, Config{Quantum: 4096, Segments: 30_000})
			for b.Loop() {
				at, err := a.AllocIn(size, Constraint{Align: size})
				if err == nil {
					err = a.Free(at, size)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkShuffle keeps n segments and replaces a random one each time: the book of n tags is
// touched at random.
func BenchmarkShuffle(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		for _, caches := range []int{0, 8} {
			b.Run(fmt.Sprintf("n=%d/caches=%d", n, caches), func(b *testing.B) {
				a := newArena(b, Config{Quantum: 64, Caches: caches, Segments: 2 * n}, 0, 1<<44)
				random := rand.New(rand.NewPCG(1, 2))
				all := make([]run, n)
				for i := range all {
					size := uint64(64 + 64*random.IntN(8))
					at, err := a.Alloc(size)
					if err != nil {
						b.Fatal(err)
					}
					all[i] = run{at, size}
				}
				for b.Loop() {
					r := &all[random.IntN(n)]
					err := a.Free(r.start, r.size)
					if err == nil {
						r.start, err = a.Alloc(r.size)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
