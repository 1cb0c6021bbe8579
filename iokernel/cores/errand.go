package cores

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/policy"
)

// errand is what the workers of one runtime that have no core want one for, and what came of giving
// them one.
type errand struct {
	parting []core.Time // by core: when the worker, as it left, wanted it next
	at      core.Time   // the earliest of these
	core    int16       // ... whose worker that is, or policy.None
	lingers []bool      // by core: the worker still ran there when another had taken it up
	linger  int         // how many do

	due   int16     // in this pass: whose worker has the earliest timer, parked ones included
	taken uint64    // frames, when a worker last parked
	vain  uint8     // parks in a row before which nothing was done, though there was something
	quiet core.Time // no core for it before
}

func newErrand(workers int) errand {
	e := errand{
		at: core.Never, core: policy.None, due: policy.None, lingers: make([]bool, workers),
	}
	for range workers {
		e.parting = append(e.parting, core.Never)
	}
	return e
}
