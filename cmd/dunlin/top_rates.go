package main

import (
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// rates is what happened between two looks at the cores, for each second where nothing else is
// said. Its JSON form is that of dunlin top -o json.
type rates struct {
	Time     time.Time     `json:"time"`       // of the second look
	Elapsed  core.Time     `json:"elapsed_ns"` // between the two
	Policy   string        `json:"policy"`
	Passes   float64       `json:"passes_per_second"`
	Wakes    float64       `json:"wakes_per_second"`   // of threads on other cores
	Signals  float64       `json:"signals_per_second"` // where waking did not help
	Waking   float64       `json:"waking"`             // part of the time spent on both
	Cores    []coreRate    `json:"cores"`
	Runtimes []runtimeRate `json:"runtimes"`
}

// coreRate is one core.
type coreRate struct {
	Core   int       `json:"core"`
	CPU    int       `json:"cpu"`
	State  string    `json:"state"`
	Owner  string    `json:"owner,omitempty"`
	Held   core.Time `json:"held_ns"`
	Busy   float64   `json:"busy"` // part of the time that somebody had it
	Grants float64   `json:"grants_per_second"`
	Shares []share   `json:"shares"`
}

// runtimeRate is one runtime. Its delays are those since it attached: the iokernel keeps no others.
type runtimeRate struct {
	Runtime     string    `json:"runtime"`
	Class       string    `json:"class"`
	Attached    bool      `json:"attached"`
	Guest       bool      `json:"guest,omitempty"`
	Held        int       `json:"held"` // cores, at the second look
	Most        int       `json:"most"`
	Cores       float64   `json:"cores"` // that it had, on the average
	Busy        float64   `json:"busy"`  // part of that time with a request in hand; 0 for a guest
	Waiting     int       `json:"waiting"`
	DelayP50    core.Time `json:"delay_p50_ns"`
	DelayP99    core.Time `json:"delay_p99_ns"`
	Served      float64   `json:"served_per_second"`
	Grants      float64   `json:"grants_per_second"`
	Revocations float64   `json:"revocations_per_second"`
	Demotions   float64   `json:"demotions_per_second"`
}

// ratesOf compares two looks. An iokernel or a runtime that has begun anew between them counts from
// its beginning, as if it had been the first look.
func ratesOf(before, after control.Cores) rates {
	if after.Uptime < before.Uptime { // another iokernel
		before = control.Cores{}
	}
	r := rates{Elapsed: after.Uptime - before.Uptime, Policy: after.Policy}
	if r.Elapsed <= 0 {
		r.Elapsed = 1 // ns; and then nothing has grown
	}
	r.Passes = r.perSecond(after.Passes, before.Passes)
	r.Wakes = r.perSecond(after.Wakes.Wakes, before.Wakes.Wakes)
	r.Signals = r.perSecond(after.Wakes.Signals, before.Wakes.Signals)
	r.Waking = r.part(after.Wakes.Spent, before.Wakes.Spent)
	cores := map[int]control.Core{}
	for _, k := range before.Cores {
		cores[k.Core] = k
	}
	for _, k := range after.Cores {
		r.Cores = append(r.Cores, r.core(cores[k.Core], k))
	}
	users := map[string]control.CoreUser{}
	for _, u := range before.Runtimes {
		users[u.Runtime] = u
	}
	for _, u := range after.Runtimes {
		r.Runtimes = append(r.Runtimes, r.user(users[u.Runtime], u))
	}
	return r
}

func (r *rates) core(before, after control.Core) coreRate {
	k := coreRate{
		Core: after.Core, CPU: after.CPU, State: after.State, Owner: after.Owner, Held: after.Held,
		Grants: r.perSecond(after.Grants, before.Grants),
		Shares: sharesOf(after.Times, before.Times),
	}
	for _, s := range k.Shares {
		if s.Runtime != "" {
			k.Busy += s.Part
		}
	}
	return k
}

func (r *rates) user(before, after control.CoreUser) runtimeRate {
	u := runtimeRate{
		Runtime: after.Runtime, Class: after.Class, Attached: after.Attached, Guest: after.Guest,
		Held: after.Held, Most: after.Most, Waiting: after.Waiting,
		DelayP50: after.DelayP50, DelayP99: after.DelayP99,
		Cores:       r.part(after.Time, before.Time),
		Served:      r.perSecond(after.Served, before.Served),
		Grants:      r.perSecond(after.Grants, before.Grants),
		Revocations: r.perSecond(after.Revocations, before.Revocations),
		Demotions:   r.perSecond(after.Demotions, before.Demotions),
	}
	if had := grown(after.Time, before.Time); had > 0 {
		u.Busy = min(float64(grown(after.Busy, before.Busy))/float64(had), 1)
	}
	return u
}

// perSecond is the rate of a count that only grows.
func (r *rates) perSecond(after, before uint64) float64 {
	return float64(grown(after, before)) * float64(core.Second) / float64(r.Elapsed)
}

// part is a time that only grows, as a part of what has passed.
func (r *rates) part(after, before core.Time) float64 {
	return float64(grown(after, before)) / float64(r.Elapsed)
}

// grown is by how much; what has shrunk has begun anew at 0.
func grown[T uint64 | core.Time](after, before T) T {
	if after < before {
		return after
	}
	return after - before
}
