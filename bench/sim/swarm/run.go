package swarm

import (
	"fmt"
	"runtime/debug"

	"github.com/dunlin-io/dunlin/bench/sim/fabric"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// Result is what came of one run.
type Result struct {
	Scenario *Scenario
	Hash     uint64    // of all events, with the frames' bytes and what the transport said of them
	Frames   uint64    // link events: frames that the network handed to a transport
	Events   uint64    // of the loop
	Until    core.Time // in the world
	Starved  bool      // the network was healed before it had carried what was asked of it
	Outcomes Outcomes
	Rare     Rare
	Failure  *Failure // nil: every promise was kept
	Stack    string   // of a panic
}

// Outcomes counts how things ended, by kind.
type Outcomes [kindOffer][transport.Unknown + 1]uint64

// Row is the outcomes of one kind of thing.
type Row struct {
	Kind                  string
	Done, Failed, Unknown uint64
}

// Rows is all of them.
func (o *Outcomes) Rows() []Row {
	var rows []Row
	for k := range kindOffer {
		rows = append(rows, Row{k.String(), o[k][0], o[k][1], o[k][2]})
	}
	return rows
}

// Replay is the command that draws the scenario of a seed and runs it again.
func Replay(s *Scenario) string {
	if s.Asked == DefaultFrames {
		return fmt.Sprintf("make sim SEED=%d", s.Seed)
	}
	return fmt.Sprintf("dunlin sim run --seed %d --frames %d", s.Seed, s.Asked)
}

// Runner runs scenarios one after another. What it keeps between them is memory, and results of
// arithmetic that depend on nothing but their input. It belongs to one goroutine.
type Runner struct {
	shared Shared
	demand func(w *world) string // one more promise, for tests of what becomes of a broken one
}

// Shared is what a Runner keeps.
type Shared struct {
	payload payload
	ledger  ledger
	keys    keyring
	net     *fabric.Network     // of the last run
	rings   [MaxHosts][]waiting // of its hosts
	lent    []byte
}

// mostBytes is the longest message of any scenario.
const mostBytes = 1 << 20

// NewRunner returns a Runner.
func NewRunner() *Runner {
	return &Runner{shared: Shared{payload: newPayload(mostBytes), keys: newKeyring()}}
}

// Run runs one scenario to its end: trouble, then healing. Anything that breaks is a Failure, a
// panic of the transport included.
func (r *Runner) Run(s *Scenario) (result Result) {
	result = Result{Scenario: s}
	w, err := newWorld(s, &r.shared)
	if err != nil {
		result.Failure = &Failure{
			Seed: s.Seed, Invariant: "a scenario can be run", Detail: err.Error(),
		}
		return result
	}
	w.demand = r.demand
	defer func() {
		if p := recover(); p != nil {
			w.broken(&Failure{Invariant: "nothing panics", Detail: fmt.Sprint(p)})
			result.Stack = string(debug.Stack())
		}
		w.harvest()
		r.shared.ledger, r.shared.net = w.ledger, w.net
		result.Hash, result.Events, result.Until = w.loop.Hash(), w.loop.Events(), w.loop.Now()
		result.Frames, result.Failure = w.frames(), w.fail
		result.Outcomes, result.Rare = w.outcomes, w.rare
	}()
	result.Starved = !w.trouble()
	if w.fail == nil {
		w.heal()
	}
	if w.fail == nil {
		w.finish()
	}
	return result
}
