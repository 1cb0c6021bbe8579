package metrics

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dunlin-io/dunlin/core"
)

// CoreSnapshot is what has become of the cores that are lent, since the iokernel's start.
type CoreSnapshot struct {
	Policy    string // empty: no cores are lent, and there are no such metrics
	Passes    uint64
	Decisions []Count   // actions of the policy, by reason; Label makes one of a text
	Detection Histogram // from seeing work wait until the grant
	HandOver  Histogram // from a grant until it was seen to be taken up
	Wakes     uint64    // of threads on other cores
	Signals   uint64    // to workers that waking did not reach
	Waking    core.Time // that both took
	Cores     []LentCore
	Runtimes  []CoreUser // that are attached
}

// LentCore is one core. Its times add up to the time since the start.
type LentCore struct {
	Core  int // its line on the baton page
	CPU   int
	Times []OwnerTime
}

// OwnerTime is how long a runtime has had a core; nobody has no name.
type OwnerTime struct {
	Runtime string
	Time    core.Time
}

// CoreUser is a runtime whose cores come and go. Its counts begin at 0 with each attachment.
type CoreUser struct {
	Runtime     string
	Held        int // cores now
	Waiting     int // packets that no worker has begun
	Busy        core.Time
	Grants      uint64
	Revocations uint64
	Demotions   uint64
	Stuck       uint64
	Nonsense    uint64
	Delays      Histogram // of waiting packets, one for each pass that saw any
}

// Histogram counts times by size.
type Histogram struct {
	Bounds []core.Time // of each bucket, the least time above it, ascending; Never: the rest
	Counts []uint64    // of each bucket; as many
	Sum    core.Time
}

// Label makes a label's value of a text: lower case, with underscores.
func Label(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "_")
}

// buckets are the histogram's as Prometheus wants them, each with those below it: one for each
// doubling, so that a scrape stays short whatever the resolution of the counts.
func (h Histogram) buckets() (total uint64, cumulative map[float64]uint64) {
	cumulative = map[float64]uint64{}
	last := 0 // the doubling of the last bucket that was written
	for i, n := range h.Counts {
		total += n
		bound := h.Bounds[i]
		if doubling := bits.Len64(uint64(bound)); bound != core.Never && doubling > last {
			cumulative[float64(bound)/float64(core.Second)] = total
			last = doubling
		}
	}
	return total, cumulative
}

// coreMetrics are the metrics of a CoreSnapshot.
type coreMetrics struct {
	info, policyInfo, passes, decisions metric
	detection, handOver, delays         metric
	wakes, signals, waking              metric
	owned, busy, held, waiting          metric
	grants, revocations, demotions      metric
	stuck, nonsense                     metric
}

func newCoreMetrics() coreMetrics {
	return coreMetrics{
		info: gauge("core_info", "1, labelled with the CPU of a core that is lent.", "core", "cpu"),
		policyInfo: gauge("core_policy_info", "1, labelled with the policy that lends cores.",
			"policy"),
		passes: counter("core_passes_total", "Times that the policy looked at the cores."),
		decisions: counter("core_decisions_total", "Actions of the policy, by reason.",
			"reason"),

		detection: gauge("core_detection_seconds",
			"Time from seeing work wait until a core was granted for it."),
		handOver: gauge("core_hand_over_seconds",
			"Time from a grant until it was seen to be taken up."),
		delays: gauge("runtime_queueing_delay_seconds",
			"Time that packets waited for a worker, one for each pass that saw any.", "runtime"),

		wakes: counter("core_wakes_total",
			"Threads woken on other cores because one did not pass on."),
		signals: counter("core_signals_total", "Signals to workers that waking did not reach."),
		waking:  counter("core_wake_seconds_total", "Time that wake-ups and signals took."),

		owned: counter("core_owned_seconds_total",
			"Time that a runtime had a core; without a runtime: nobody.", "core", "runtime"),
		busy: counter("runtime_core_busy_seconds_total",
			"Time that a runtime's cores had a request in hand, by sampling.", "runtime"),
		held:    gauge("runtime_cores", "Cores that a runtime has.", "runtime"),
		waiting: gauge("runtime_waiting_packets", "Packets that wait for a worker.", "runtime"),

		grants:      counter("core_grants_total", "Cores given to a runtime.", "runtime"),
		revocations: counter("core_revocations_total", "Cores taken from a runtime.", "runtime"),
		demotions: counter("core_demotions_total",
			"Times that a runtime's worker did not yield in time.", "runtime"),
		stuck: counter("core_stuck_total",
			"Times that a runtime's worker did not yield even then.", "runtime"),
		nonsense: counter("core_nonsense_total",
			"Statements of a runtime about itself that cannot be.", "runtime"),
	}
}

func (m *coreMetrics) all() []metric {
	return []metric{
		m.info, m.policyInfo, m.passes, m.decisions, m.detection, m.handOver, m.delays,
		m.wakes, m.signals, m.waking, m.owned, m.busy, m.held, m.waiting,
		m.grants, m.revocations, m.demotions, m.stuck, m.nonsense,
	}
}

func (m *coreMetrics) collect(e emitter, s *CoreSnapshot) {
	if s.Policy == "" {
		return
	}
	e.value(m.policyInfo, 1, s.Policy)
	e.count(m.passes, s.Passes)
	e.counts(m.decisions, s.Decisions)
	e.histogram(m.detection, s.Detection)
	e.histogram(m.handOver, s.HandOver)
	e.count(m.wakes, s.Wakes)
	e.count(m.signals, s.Signals)
	e.seconds(m.waking, s.Waking)
	for _, k := range s.Cores {
		number := strconv.Itoa(k.Core)
		e.value(m.info, 1, number, strconv.Itoa(k.CPU))
		for _, t := range k.Times {
			e.seconds(m.owned, t.Time, number, t.Runtime)
		}
	}
	for _, u := range s.Runtimes {
		e.value(m.held, float64(u.Held), u.Runtime)
		e.value(m.waiting, float64(u.Waiting), u.Runtime)
		e.seconds(m.busy, u.Busy, u.Runtime)
		e.count(m.grants, u.Grants, u.Runtime)
		e.count(m.revocations, u.Revocations, u.Runtime)
		e.count(m.demotions, u.Demotions, u.Runtime)
		e.count(m.stuck, u.Stuck, u.Runtime)
		e.count(m.nonsense, u.Nonsense, u.Runtime)
		e.histogram(m.delays, u.Delays, u.Runtime)
	}
}

func (e emitter) histogram(m metric, h Histogram, labels ...string) {
	total, buckets := h.buckets()
	made, err := prometheus.NewConstHistogram(m.desc, total, float64(h.Sum)/float64(core.Second),
		buckets, labels...)
	if err != nil {
		made = prometheus.NewInvalidMetric(m.desc, err)
	}
	e.out <- made
}
