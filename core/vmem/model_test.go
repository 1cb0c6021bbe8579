package vmem

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

type rapidChooser struct{ t *rapid.T }

func (c rapidChooser) below(n int) int { return rapid.IntRange(0, n-1).Draw(c.t, "below") }

// TestModel plays random games against the twin, which looks at every address.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := play(rapidChooser{t}, rapid.IntRange(0, 100).Draw(t, "steps")); err != nil {
			t.Fatal(err)
		}
	})
}

type randChooser struct{ *rand.Rand }

func (c randChooser) below(n int) int { return c.IntN(n) }

// TestLongGames plays longer games than rapid, which prefers short ones.
func TestLongGames(t *testing.T) {
	for seed := range uint64(60) {
		if err := play(randChooser{rand.New(rand.NewPCG(seed, 1))}, 300); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// byteChooser decides by a fuzzer's bytes, and 0 when there are no more.
type byteChooser struct{ bytes []byte }

func (c *byteChooser) below(n int) int {
	value := 0
	for left := n - 1; left > 0; left >>= 8 {
		if len(c.bytes) == 0 {
			return 0
		}
		value = value<<8 | int(c.bytes[0])
		c.bytes = c.bytes[1:]
	}
	return value % n
}

// FuzzArena plays games whose moves the fuzzer picks.
func FuzzArena(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 0, 1, 1, 7, 0, 3, 4, 200, 0, 7, 0})
	f.Fuzz(func(t *testing.T, moves []byte) {
		from := &byteChooser{moves[:min(len(moves), 2000)]}
		g, err := newGame(from)
		for err == nil && len(from.bytes) > 0 {
			if err = g.step(); err == nil {
				err = g.twin.compare(g.arena)
			}
		}
		if err == nil {
			err = g.end()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}
