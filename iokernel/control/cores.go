package control

import "github.com/dunlin-io/dunlin/core"

// LoanGrant is what a runtime whose cores come and go must know of them.
type LoanGrant struct {
	Class string `json:"class"` // lc or be
	Owner uint16 `json:"owner"` // its slot: what a baton's word says when a core is its
	// Cores are the CPUs that the iokernel lends, in the order of the baton page's lines.
	Cores    []int `json:"cores"`
	Reserved int   `json:"reserved"`
	Most     int   `json:"most"`
}

// Threads tells the kernel's ids of the threads of an attached runtime's workers, in their order:
// what the iokernel demotes or signals when a core does not pass on. It is sent once, when the
// workers run. A worker whose thread is not known gets no core.
type Threads struct {
	IDs []int `json:"ids"`
}

// Done answers a request that has no other answer.
type Done struct{}

// CoresRequest asks for Cores.
type CoresRequest struct {
	Decisions int `json:"decisions,omitempty"` // the most of the last decisions to list
}

// Cores says who has which core, since when and why, for people and tools.
type Cores struct {
	Policy    string       `json:"policy"`
	Interval  core.Time    `json:"interval_ns"` // between two passes, at most
	Passes    uint64       `json:"passes"`      // since the start
	Uptime    core.Time    `json:"uptime_ns"`
	Cores     []Core       `json:"cores"`
	Runtimes  []CoreUser   `json:"runtimes"`            // of class lc and be in the configuration
	Decisions []Decision   `json:"decisions,omitempty"` // the latest first
	Latencies CoreLatency  `json:"latencies"`
	Wakes     WakeAccount  `json:"wakes"`
	Sensors   []CoreSensor `json:"sensors,omitempty"`
}

// Core is one core that is lent. The times of its owners and of nobody add up to the time since the
// start.
type Core struct {
	Core   int         `json:"core"` // its line on the baton page
	CPU    int         `json:"cpu"`
	State  string      `json:"state"`           // idle, running, yielding, parked or offline
	Owner  string      `json:"owner,omitempty"` // a runtime; empty: nobody
	Held   core.Time   `json:"held_ns"`         // for so long
	Reason string      `json:"reason,omitempty"`
	Grants uint64      `json:"grants"`
	Times  []OwnerTime `json:"times"` // those that are not 0
}

// OwnerTime is how long a runtime has had a core. Nobody's has no name.
type OwnerTime struct {
	Runtime string    `json:"runtime,omitempty"`
	Time    core.Time `json:"time_ns"`
}

// CoreUser is one runtime that gets cores lent.
type CoreUser struct {
	Runtime     string    `json:"runtime"`
	Class       string    `json:"class"`
	Attached    bool      `json:"attached"`
	Guest       bool      `json:"guest,omitempty"` // an ordinary program, without workers
	Reserved    int       `json:"reserved"`
	Most        int       `json:"most"`
	Held        int       `json:"held"`    // cores now
	Waiting     int       `json:"waiting"` // frames that no worker has begun
	DelayP50    core.Time `json:"delay_p50_ns"`
	DelayP99    core.Time `json:"delay_p99_ns"` // queueing delays since it attached
	Time        core.Time `json:"time_ns"`      // on all cores
	Busy        core.Time `json:"busy_ns"`      // of it, with a request in hand, by sampling
	Served      uint64    `json:"served"`
	Grants      uint64    `json:"grants"`
	Revocations uint64    `json:"revocations"`
	Demotions   uint64    `json:"demotions"`
	Stuck       uint64    `json:"stuck"`
	Nonsense    uint64    `json:"nonsense"` // statements on its load page that cannot be
	Hold        core.Time `json:"hold_ns"`  // lc: how long it keeps cores that it does not use
}

// Decision is one action of the policy, with what it went by.
type Decision struct {
	Age     core.Time `json:"age_ns"`
	Core    int       `json:"core"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	Action  string    `json:"action"` // grant, keep or park
	Reason  string    `json:"reason"`
	Input   string    `json:"input"`   // the figure that decided, with its unit
	Waiting int       `json:"waiting"` // frames of To then
	Delay   core.Time `json:"delay_ns"`
}

// CoreLatency is how long the parts of a move took, since the start.
type CoreLatency struct {
	Detection core.Time `json:"detection_ns"` // median, from seeing work wait until the grant
	HandOver  core.Time `json:"hand_over_ns"` // median, from the grant until a pass saw it taken up
	HandOver9 core.Time `json:"hand_over_p99_ns"`
}

// WakeAccount is what waking threads on other cores has cost the iokernel.
type WakeAccount struct {
	Wakes   uint64    `json:"wakes"`
	Signals uint64    `json:"signals"`
	Spent   core.Time `json:"spent_ns"`
	Longest core.Time `json:"longest_ns"`
}

// CoreSensor is something that policies go by and that not every machine has.
type CoreSensor struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Why       string `json:"why,omitempty"` // it is not
}
