package swarm

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// TestAcceptsTellSessionsApart gives two sessions of one host one number: each may take the same
// counters, 0 lost on the way or not, and none of them twice.
func TestAcceptsTellSessionsApart(t *testing.T) {
	const number = 7
	for _, counters := range [][]uint64{{0, 1, 2}, {2, 3}} {
		var a accepts
		for _, to := range []transport.SessionID{1, 2} {
			for _, n := range counters {
				x := header{ok: true, session: number, counter: n}
				if wrong := a.find(x, to).takes(0, x); wrong != "" {
					t.Errorf("counters %d, session %d, counter %d: %s", counters, to, n, wrong)
				}
				if wrong := a.find(x, to).takes(0, x); wrong != "no frame is taken twice" {
					t.Errorf("session %d took counter %d twice: %q", to, n, wrong)
				}
			}
		}
	}
}

// TestNumbersThatComeAgain runs a network in which numbers of sessions come again all the time.
func TestNumbersThatComeAgain(t *testing.T) {
	r := NewRunner()
	for seed := range uint64(6) {
		s := Draw(seed, 3000)
		for i := range s.Hosts {
			s.Hosts[i].FewNumbers = true
		}
		s.Work.Weights[doClose] += 5
		if result := r.Run(&s); result.Failure != nil {
			t.Errorf("%v", result.Failure)
		}
	}
}

// TestReplayDrawsTheSame checks that the command printed for a seed draws its scenario, of those too
// that are longer than was asked for.
func TestReplayDrawsTheSame(t *testing.T) {
	long := 0
	for seed := range uint64(200) {
		s := Draw(seed, 4000)
		if s.Frames > s.Asked {
			long++
		}
		var again, frames uint64
		const form = "dunlin sim run --seed %d --frames %d"
		if _, err := fmt.Sscanf(Replay(&s), form, &again, &frames); err != nil {
			t.Fatalf("%q: %v", Replay(&s), err)
		}
		if !reflect.DeepEqual(Draw(again, frames), s) {
			t.Fatalf("seed %d: %q draws another scenario", seed, Replay(&s))
		}
		s = Draw(seed, DefaultFrames)
		if want := fmt.Sprintf("make sim SEED=%d", seed); Replay(&s) != want {
			t.Fatalf("%q, want %q", Replay(&s), want)
		}
	}
	if long == 0 {
		t.Error("no seed is longer than was asked for")
	}
}
