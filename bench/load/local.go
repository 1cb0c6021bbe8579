package load

import (
	"os"
	"time"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
)

// What a benchmark needs that has no network: see bench/memory.

// NewReport describes this machine, this program and a run that is about to begin.
func NewReport(suite string, o Options) *report.Report {
	return &report.Report{
		Suite: suite, Commit: commit(), Machine: machine(), Notes: []string{},
		Rows: []report.Row{}, Ratios: []report.Ratio{}, Processes: []report.Process{},
		Complete: true,
		Run: report.Run{
			Seed: o.Seed, Rounds: o.Rounds, RowNs: int64(o.Measure), WarmupNs: int64(o.Warmup),
		},
	}
}

// CPUs are those that this process may use, one of each core first.
func CPUs() ([]int, error) {
	allowed, err := pin.Allowed()
	if err != nil {
		return nil, err
	}
	return spread(allowed.List(), siblings), nil
}

// CPUTime is how much CPU time a process has used, all its threads.
func CPUTime(pid int) (core.Time, error) { return cpuTime(pid) }

// Describe is a process and its threads as they are now.
func Describe(name string, pid int) (report.Process, error) { return describe(name, pid) }

// Listen begins to account for what other processes than this one and those use the CPUs for, and
// returns what writes it down.
func Listen(pids func() []int) (writeDown func(*report.Run) error, err error) {
	return listen(func() ([]core.Time, error) {
		var all []core.Time
		for _, pid := range append([]int{os.Getpid()}, pids()...) {
			t, err := cpuTime(pid)
			if err != nil {
				return nil, err
			}
			all = append(all, t)
		}
		return all, nil
	})
}

// listen is Listen for processes that spent tells the CPU time of.
func listen(spent func() ([]core.Time, error)) (writeDown func(*report.Run) error, err error) {
	start := time.Now()
	own, err := spent()
	if err != nil {
		return nil, err
	}
	used, stolen, err := busy()
	if err != nil {
		return nil, err
	}
	return func(r *report.Run) error {
		own2, err := spent()
		if err != nil {
			return err
		}
		used2, stolen2, err := busy()
		if err != nil {
			return err
		}
		others := used2 - used
		for i := range own {
			others -= own2[i] - own[i]
		}
		elapsed := float64(time.Since(start))
		r.Others = float64(max(others, 0)) / elapsed
		r.Stolen = float64(stolen2-stolen) / elapsed
		return nil
	}, nil
}
