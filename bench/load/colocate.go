package load

import (
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// The colocation: a latency-critical service on the one core that an iokernel lends, alone and
// beside somebody who takes all that it leaves.
//
//	lc-alone/20        the service, at 20 % of the core's time
//	lc-with-be/20      the same beside a best-effort runtime that computes
//	be-share/20        the part of the time that the service leaves which that runtime received
//	lc-with-run-be/20  the same beside an ordinary program under `dunlin run --be`
//	linux/20           the same service on a kernel socket, beside that program, and no dunlin
//
// A name ends in the service's time, but for 10 us: /25us, or /echo for a service that only sends
// back what it gets.
const (
	nameAlone     = "lc-alone"
	nameWithBE    = "lc-with-be"
	nameShare     = "be-share"
	nameWithRunBE = "lc-with-run-be"
	nameLinux     = "linux"
	nameReference = "reference/stalls"
	nameInterval  = "interval"
)

// service is what the latency-critical runtime does for each request.
type service struct {
	suffix string
	work   core.Time
	cost   core.Time // of the core's time, for the load: work, or what an echo takes
	ether  uint16
}

// services are the ones that are measured. An echo takes about 1 us of the worker's core; a load of
// a tenth of the others' is what one generator can offer on one CPU beside an iokernel.
var services = [...]service{
	{"", 10 * core.Microsecond, 10 * core.Microsecond, 0x88B5},
	{"/25us", 25 * core.Microsecond, 25 * core.Microsecond, 0x88B6},
	{"/echo", 0, 10 * core.Microsecond, 0x88B7},
}

// loads are in per cent of the core's time.
var loads = [...]int{20, 50}

// seldom is a load at which the best-effort runtime has the core nearly always: what a request
// takes longer beside it is the detection and the hand-over.
const seldom = 2

// rate is the requests per second that are so many per cent of a core's time.
func (s service) rate(percent int) uint64 {
	return uint64(percent) * uint64(core.Second) / 100 / uint64(s.cost)
}

// name is that of a row of the service.
func (s service) name(what string, percent int) string {
	return fmt.Sprintf("%s/%d%s", what, percent, s.suffix)
}

// intervals are those between passes that are swept, and the load of the sweep: bursts between 2
// and 16 % of the core's time, of a millisecond each. What comes within the longest interval has to
// fit into a ring.
var intervals = [...]core.Time{
	5 * core.Microsecond, 10 * core.Microsecond, 100 * core.Microsecond, 100 * core.Millisecond,
}

func sweepBurst() Burst {
	return Burst{Low: services[0].rate(2), High: services[0].rate(16), Dwell: core.Millisecond}
}

func intervalName(t core.Time) string {
	if t >= core.Millisecond {
		return fmt.Sprintf("%s/%dms", nameInterval, t/core.Millisecond)
	}
	return fmt.Sprintf("%s/%dus", nameInterval, t/core.Microsecond)
}

func intervalNames() (names []string) {
	for _, t := range intervals {
		names = append(names, intervalName(t))
	}
	return names
}

// colocationNames are the rows of all services at all loads.
func colocationNames(what string) (names []string) {
	for _, s := range services {
		for _, percent := range loads {
			names = append(names, s.name(what, percent))
		}
	}
	return append(names, services[0].name(what, seldom))
}

// colocationRows are the rows, in the order of the report.
func colocationRows() (rows []wanted) {
	open := func(name string, rate uint64) wanted {
		return wanted{poisson: true, key: report.Key{
			Name: name, Loop: report.Open, Rate: rate, Bytes: smallFrame,
			Unit: report.Nanoseconds,
		}}
	}
	share := func(name, of string, rate uint64) wanted {
		return wanted{shareOf: of, key: report.Key{
			Name: name, Loop: report.Open, Rate: rate, Bytes: smallFrame, Unit: report.Parts,
			PerUnit: sharePerUnit,
		}}
	}
	for _, s := range services {
		for _, percent := range loads {
			rate := s.rate(percent)
			with := s.name(nameWithBE, percent)
			rows = append(rows, open(s.name(nameAlone, percent), rate), open(with, rate),
				share(s.name(nameShare, percent), with, rate))
		}
	}
	s := services[0]
	for _, what := range []string{nameAlone, nameWithBE} {
		rows = append(rows, open(s.name(what, seldom), s.rate(seldom)))
	}
	for _, what := range []string{nameWithRunBE, nameLinux} {
		rows = append(rows, open(s.name(what, loads[0]), s.rate(loads[0])))
	}
	for _, t := range intervals {
		w := open(intervalName(t), 0)
		w.burst = sweepBurst()
		w.key.Rate = (w.burst.Low + w.burst.High) / 2
		rows = append(rows, w)
	}
	return append(rows, wanted{key: report.Key{
		Name: nameReference, Loop: report.Closed, Unit: report.Parts, PerUnit: sharePerUnit,
	}})
}

// sharePerUnit is the resolution of shares: millionths.
const sharePerUnit = 1_000_000

// colocationGoals are what is wanted of them.
func colocationGoals() (all []comparison) {
	s, long, echo := services[0], services[1], services[2]
	atLeast := func(least ...float64) (goals []report.Goal) {
		for _, v := range least {
			goals = append(goals, report.Goal{AtLeast: v})
		}
		return goals
	}
	shares, longShares := atLeast(0.75, 0.65), atLeast(0.85, 0.75)
	for i, percent := range loads {
		alone, with := s.name(nameAlone, percent), s.name(nameWithBE, percent)
		all = append(all, distance(with, alone, 4*core.Microsecond),
			comparison{with, alone, report.P99, report.Goal{AtMost: 2}, quotient},
			level(s.name(nameShare, percent), shares[i]))
		alone, with = long.name(nameAlone, percent), long.name(nameWithBE, percent)
		all = append(all, comparison{with, alone, report.P50, report.Goal{AtMost: 1.2}, quotient},
			comparison{with, alone, report.P99, report.Goal{AtMost: 2}, quotient},
			level(long.name(nameShare, percent), longShares[i]))
		alone, with = echo.name(nameAlone, percent), echo.name(nameWithBE, percent)
		all = append(all, comparison{with, alone, report.P50, report.Goal{}, quotient},
			comparison{with, alone, report.P99, report.Goal{}, quotient})
	}
	run := s.name(nameWithRunBE, loads[0])
	return append(all,
		distance(run, s.name(nameAlone, loads[0]), 30*core.Microsecond),
		comparison{
			s.name(nameLinux, loads[0]), run, report.P99, report.Goal{AtLeast: 5}, quotient,
		},
		distance(s.name(nameWithBE, seldom), s.name(nameAlone, seldom), 0))
}

// wakeShare is what a request takes longer beside an ordinary program, in wakes with nothing around
// them.
func wakeShare() combination {
	run := services[0].name(nameWithRunBE, loads[0])
	without := services[0].name(nameAlone, loads[0])
	return combination{
		fmt.Sprintf("(%s - %s):%s", run, without, nameWakeFloor), report.P50,
		[]string{run, without, nameWakeFloor},
		report.Goal{},
		func(v []float64) float64 { return (v[0] - v[1]) / v[2] },
	}
}

// distance compares the p50 of two rows by how far they are apart; 0: there is no goal.
func distance(row, other string, atMost core.Time) comparison {
	return comparison{row, other, report.P50, report.Goal{AtMost: float64(atMost)}, apart}
}

// level holds the p50 of a row against a goal.
func level(row string, g report.Goal) comparison {
	return comparison{row, row, report.P50, g, alone}
}
