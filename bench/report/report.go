// Package report turns what a benchmark measured into what people read: a table, JSON, and one
// self-contained HTML page with the distributions drawn.
//
//	samples of a round ──> Distribution ──> Series ──> Row ─┬─> WriteTable
//	                                          │             ├─> WriteJSON
//	                                          └──> Ratio ───┴─> WriteHTML
//
// It measures nothing and knows no contestant: bench/load does. Everything here is pure, control
// plane, and for one goroutine at a time. Samples that are handed in stay the caller's; they are
// sorted in place.
//
// How the figures of a row come about. p50 and max are taken over the samples of all rounds. p90,
// p99 and p999 are the median of the rounds' own, because one bad round would otherwise decide
// them for the whole run. A ratio is the median over the rounds of the quotient within the round:
// both rows of a round met the same machine, minutes apart they may not have.
package report

// Unit is what the figures of a row count.
type Unit string

// The units of rows.
const (
	Nanoseconds Unit = "ns"
	Frames      Unit = "frames/s"
	Bytes       Unit = "B/s"
	Parts       Unit = "ratio" // a part of a whole, 0 to 1, or a multiple of it
)

// Loop says what made the generator send its next request.
type Loop string

// The loops of rows.
const (
	Closed Loop = "closed" // the reply to the one before
	Open   Loop = "open"   // the clock; a request counts from when it was due
	Window Loop = "window" // one of a fixed number of requests was answered
	Stream Loop = "stream" // the kernel took the bytes before
	Batch  Loop = "batch"  // nothing: operations one behind the other, timed so many at a time
)

// Report is a whole run.
type Report struct {
	Suite     string    `json:"suite"` // "latency", "throughput", "cores", "alloc", "rpc"
	Commit    string    `json:"commit"`
	Machine   Machine   `json:"machine"`
	Run       Run       `json:"run"`
	Complete  bool      `json:"complete"` // every row ran, every request has its right answer
	Notes     []string  `json:"notes"`    // what is missing, and why
	Rows      []Row     `json:"rows"`
	Ratios    []Ratio   `json:"ratios"`
	Processes []Process `json:"processes"`
	// Differences compare rows whose quotient says less than their distance.
	Differences []Difference `json:"differences,omitempty"`
	// Timeline is who had which core for a while; of suites in which cores move.
	Timeline *Timeline `json:"timeline,omitempty"`
	// Local is a suite of operations within a process: no request, no wire, and times that are
	// shown in nanoseconds.
	Local bool `json:"-"`
}

// Machine is what it ran on.
type Machine struct {
	Kernel      string   `json:"kernel"`
	CPU         string   `json:"cpu"`     // model
	CPUs        int      `json:"cpus"`    // that this process may use
	Allowed     string   `json:"allowed"` // which, as 0-3,8
	Online      string   `json:"online"`
	Placement   string   `json:"placement"`
	Hypervisor  bool     `json:"hypervisor"`
	Clocksource string   `json:"clocksource"`
	MemoryBytes uint64   `json:"memory_bytes"`
	Go          string   `json:"go"`
	XDP         string   `json:"xdp"` // mode, and copy or zero-copy
	Load1       float64  `json:"load1"`
	Boot        []string `json:"boot,omitempty"` // kernel parameters that touch CPUs
}

// Run is how it was run.
type Run struct {
	Seed       uint64 `json:"seed"`   // of the order of the rows within the rounds
	Rounds     int    `json:"rounds"` //
	RowNs      int64  `json:"row_ns"` // measured time of a row in a round
	WarmupNs   int64  `json:"warmup_ns"`
	DurationNs int64  `json:"duration_ns"` // of the whole run, bring-up and removal included

	// What else happened while rows were measured, in CPUs: time that other processes used (at
	// least), and time that the hypervisor gave to other machines.
	Others float64 `json:"others_cpus"`
	Stolen float64 `json:"stolen_cpus"`
}

// Row is one contestant under one load.
type Row struct {
	Name  string  `json:"name"`
	Loop  Loop    `json:"loop"`
	Rate  uint64  `json:"rate"`  // requests per second of an open loop, else 0
	Bytes int     `json:"bytes"` // of a frame without its checksum, or of one write to a stream
	Unit  Unit    `json:"unit"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	Count uint64  `json:"count"` // replies measured; for streams, rounds
	Faults
	Rounds []Round `json:"rounds"`
	Curve  []Point `json:"-"` // for the page; --hgrm exports the whole distribution
	CPU    []Spent `json:"cpu"`
}

// Faults are what went wrong with requests and replies of a row, warm-up excluded.
type Faults struct {
	Lost      uint64 `json:"lost"`      // requests without a right reply in time
	Late      uint64 `json:"late"`      // right replies to requests that were given up
	Duplicate uint64 `json:"duplicate"` // second replies
	Corrupt   uint64 `json:"corrupt"`   // replies whose bytes are not those of any request
}

// Any reports whether anything went wrong.
func (f Faults) Any() bool { return f != Faults{} }

// Add counts g as well.
func (f *Faults) Add(g Faults) {
	f.Lost += g.Lost
	f.Late += g.Late
	f.Duplicate += g.Duplicate
	f.Corrupt += g.Corrupt
}

// Round is a row's figures of one round, in the row's unit.
type Round struct {
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Count uint64  `json:"count"`
	Lost  uint64  `json:"lost"`
}

// Spent is the CPU time of one process while a row ran, all rounds together.
type Spent struct {
	Process string `json:"process"`
	Parked  bool   `json:"parked"` // stopped, because the row was not its own
	Ns      int64  `json:"ns"`
}

// Process is one process of the run, as it stood while it took part.
type Process struct {
	Name         string   `json:"name"`
	PID          int      `json:"pid"`
	UID          int      `json:"uid"`
	Capabilities string   `json:"capabilities"` // effective, hexadecimal as in /proc
	Threads      []Thread `json:"threads"`
}

// Thread is one thread of a process.
type Thread struct {
	TID      int    `json:"tid"`
	Name     string `json:"name"`
	CPU      int    `json:"cpu"`     // on which it ran last
	Allowed  string `json:"allowed"` // where it may run
	Policy   string `json:"policy"`
	Priority int    `json:"priority"` // real-time priority, or nice value
	Ns       int64  `json:"ns"`       // CPU time since it started
}
