package fabric

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/dunlin-io/dunlin/bench/sim"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/fault"
)

// Step changes one direction of one path at one time.
type Step struct {
	At       core.Time
	From, To int
	Faults   fault.Config
	MTU      int       // bytes; 0: MaxFrame
	Cut      core.Time // if not 0, the path is cut until then; core.Never is for good
}

// Cable is the ports of one host, from the beginning on.
type Cable struct {
	Host    int
	Out, In Port
}

// Script is what goes wrong in one run: with the seed, all there is to know. The wire box plays it
// on real frames.
type Script struct {
	Seed   uint64
	Hosts  int
	Cables []Cable
	Steps  []Step
}

// Validate reports the first step or cable that cannot be played.
func (s *Script) Validate() error {
	if s.Hosts < 1 || s.Hosts > MaxHosts {
		return fmt.Errorf("fabric: a script for %d hosts, possible are 1 to %d", s.Hosts, MaxHosts)
	}
	for i, c := range s.Cables {
		if c.Host < 0 || c.Host >= s.Hosts || !c.Out.valid() || !c.In.valid() {
			return fmt.Errorf("fabric: cable %d of the script, %+v, cannot be", i, c)
		}
	}
	for i, step := range s.Steps {
		if step.At < 0 || step.Cut < 0 || step.From < 0 || step.From >= s.Hosts || step.To < 0 ||
			step.To >= s.Hosts || step.MTU < 0 || step.MTU > MaxFrame {
			return fmt.Errorf("fabric: step %d of the script, from %d to %d at %d ns, cannot be",
				i, step.From, step.To, step.At)
		}
		if err := step.Faults.Validate(); err != nil {
			return fmt.Errorf("fabric: step %d of the script: %w", i, err)
		}
	}
	return nil
}

// valid reports whether the sums of serialise stay in range.
func (p Port) valid() bool {
	const mostRate, mostQueue = 1e13, 1e9 // bits per second, bytes
	return p.Rate >= 0 && p.Rate <= mostRate && p.Queue >= 0 && p.Queue < mostQueue
}

// Pair is the part of a script between hosts a and b, as a script for two hosts. Its faults are
// others than in the whole: a path draws from its own number.
func (s *Script) Pair(a, b int) Script {
	pair := Script{Seed: s.Seed, Hosts: 2}
	number := map[int]int{a: 0, b: 1}
	for _, c := range s.Cables {
		if host, ok := number[c.Host]; ok {
			c.Host = host
			pair.Cables = append(pair.Cables, c)
		}
	}
	for _, step := range s.Steps {
		from, ok := number[step.From]
		to, too := number[step.To]
		if ok && too && from != to {
			step.From, step.To = from, to
			pair.Steps = append(pair.Steps, step)
		}
	}
	return pair
}

// ReadScript reads what WriteScript wrote, or somebody typed, and validates it.
func ReadScript(r io.Reader) (Script, error) {
	var s Script
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Script{}, fmt.Errorf("fabric: read a script: %w", err)
	}
	return s, s.Validate()
}

// WriteScript writes a script as JSON. Times are in nanoseconds.
func WriteScript(w io.Writer, s Script) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}

// Play makes a network of the script's hosts in which its steps happen when their time has come.
// Those of time 0 have happened.
func Play(l *sim.Loop, s Script) (*Network, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	n := New(l, s.Hosts, s.Seed)
	for _, c := range s.Cables {
		n.SetPorts(c.Host, c.Out, c.In)
	}
	n.steps = s.Steps
	for i, step := range s.Steps {
		if step.At == 0 {
			n.take(step)
			continue
		}
		l.Post(step.At, n.id, steps, uint64(i))
	}
	return n, nil
}

// EndScript leaves the network as it is: no further step of the script happens.
func (n *Network) EndScript() { n.steps = nil }

// take carries out a step, which is valid.
func (n *Network) take(step Step) {
	err := n.SetFaults(step.From, step.To, step.Faults)
	if err == nil && step.Cut != 0 {
		err = n.Cut(step.From, step.To, step.Cut)
	}
	if err != nil {
		panic("fabric: a valid step fails: " + err.Error())
	}
	n.SetMTU(step.From, step.To, step.MTU)
}
