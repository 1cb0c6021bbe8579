package swarm

import (
	"encoding/json"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/dunlin-io/dunlin/core/planted"
)

// testSeeds is how many fresh seeds a test run has, and how many the short one.
const (
	testSeeds  = 2000
	shortSeeds = 100
)

// seedBase is where the seeds begin: DUNLIN_SIM_SEED, or the day's, so that each day has others and a
// change is judged by the same ones as the tree before it. A failure names the command that runs its
// seed again.
func seedBase(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("DUNLIN_SIM_SEED")
	if text == "" {
		const day = 24 * time.Hour
		return uint64(time.Now().UnixNano()/int64(day)) * testSeeds
	}
	base, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DUNLIN_SIM_SEED: %v", err)
	}
	return base
}

// TestSeeds is the swarm of each test run.
func TestSeeds(t *testing.T) {
	if planted.Enabled {
		t.Skip("built to make mistakes: TestPlanted looks for them")
	}
	f := Fleet{
		Base: seedBase(t), Seeds: testSeeds, Workers: runtime.GOMAXPROCS(0),
	}
	if testing.Short() {
		f.Seeds = shortSeeds
	}
	start := time.Now()
	sum := f.Run()
	took := time.Since(start)
	t.Logf("%d seeds from %d on, %d link events, %.0f a second, %d starved", sum.Seeds, f.Base,
		sum.Frames, float64(sum.Frames)/took.Seconds(), sum.Starved)
	for _, r := range sum.Failures {
		t.Errorf("%v\n\t%s", r.Failure, Replay(r.Scenario))
	}
	if least := f.Seeds * DefaultFrames * 99 / 100; sum.Frames < least {
		t.Errorf("%d link events: want %d at least", sum.Frames, least)
	}
	if sum.Seeds < SeedsForRare {
		return
	}
	for _, s := range sum.Rare.States() {
		if s.Count == 0 {
			t.Errorf("no seed of %d from %d on reached a rare state: %s\n\tDUNLIN_SIM_SEED=%d "+
				"go test -run TestSeeds ./bench/sim/swarm", sum.Seeds, f.Base, s.Name, f.Base)
		}
	}
}

// TestSameSeedSameHash runs seeds twice: the second time beside other goroutines, on another number
// of threads, with a collector that runs far more often.
func TestSameSeedSameHash(t *testing.T) {
	const seeds = 12
	first := hashes(1, seeds)
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	done := make(chan map[uint64]uint64)
	go func() { done <- hashes(seeds/2, seeds) }()
	second := hashes(1, seeds)
	if third := <-done; !reflect.DeepEqual(first, second) || len(third) == 0 {
		t.Errorf("hashes of the same seeds:\n%v\n%v", first, second)
	} else {
		for seed, hash := range third {
			if first[seed] != hash {
				t.Errorf("seed %d after other seeds: %x, before: %x", seed, hash, first[seed])
			}
		}
	}
	seen := map[uint64]bool{}
	for _, h := range first {
		if seen[h] {
			t.Error("two seeds, one hash")
		}
		seen[h] = true
	}
}

// hashes runs the seeds from from to to with one Runner.
func hashes(from, to uint64) map[uint64]uint64 {
	r := NewRunner()
	all := map[uint64]uint64{}
	for seed := from; seed <= to; seed++ {
		s := Draw(seed, 3000)
		all[seed] = r.Run(&s).Hash
	}
	return all
}

func TestDrawnScenariosAreValid(t *testing.T) {
	for seed := range uint64(2000) {
		s := Draw(seed, DefaultFrames)
		if err := s.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(s, Draw(seed, DefaultFrames)) {
			t.Fatalf("seed %d: two scenarios", seed)
		}
	}
}

// TestStormIsOver lets hosts close sessions all the time, up to a bound, and expects none above it and
// one that has reached it.
func TestStormIsOver(t *testing.T) {
	s := Draw(3, 3000)
	s.Work.Weights[doClose], s.Work.Closes = 1000, 3
	r, most := NewRunner(), 0
	r.demand = func(w *world) string {
		for _, h := range w.hosts {
			most = max(most, h.closes)
		}
		return ""
	}
	if f := r.Run(&s).Failure; f != nil || most != s.Work.Closes {
		t.Errorf("%v; closed %d sessions, want %d", f, most, s.Work.Closes)
	}
}

func TestScenarioAsText(t *testing.T) {
	s := Draw(5, 3000)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again Scenario
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	r := NewRunner()
	if a, b := r.Run(&s).Hash, r.Run(&again).Hash; a != b {
		t.Errorf("the scenario gives %x, its text %x", a, b)
	}
}

func TestValidateRejects(t *testing.T) {
	for name, spoil := range map[string]func(s *Scenario){
		"one host":           func(s *Scenario) { s.Hosts = s.Hosts[:1] },
		"a script for more":  func(s *Scenario) { s.Script.Hosts++ },
		"no burst":           func(s *Scenario) { s.Hosts[1].Burst = 0 },
		"a tiny MTU":         func(s *Scenario) { s.Hosts[0].MTU = 500 },
		"IP version 5":       func(s *Scenario) { s.Hosts[0].UDP = 5 },
		"an act of nobody":   func(s *Scenario) { s.Acts = []Act{{Host: 9}} },
		"acts upside down":   func(s *Scenario) { s.Acts = []Act{{After: 2}, {After: 1}} },
		"healed twice":       func(s *Scenario) { s.Heal.Well[0] = s.Heal.Well[1] },
		"nobody healed":      func(s *Scenario) { s.Heal.Well = nil },
		"no gap":             func(s *Scenario) { s.Work.Gap = 0 },
		"more than all":      func(s *Scenario) { s.Work.Refuse = 101 },
		"negative closes":    func(s *Scenario) { s.Work.Closes = -1 },
		"a negative weight":  func(s *Scenario) { s.Work.Weights[0] = -1 },
		"enormous messages":  func(s *Scenario) { s.Work.Sizes.Most = mostBytes + 1 },
		"deadlines reversed": func(s *Scenario) { s.Work.Deadline[1] = 0 },
	} {
		s := Draw(3, 1000)
		spoil(&s)
		if s.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}
