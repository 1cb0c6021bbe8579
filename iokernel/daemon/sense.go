package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/control"
	"github.com/dunlin-io/dunlin/iokernel/policy"
	"github.com/dunlin-io/dunlin/iokernel/sensor"
)

// The names of the sensors, for people.
const (
	siblingsSensor = "hyperthreads"
	memorySensor   = "memory traffic"
	missesSensor   = "cache misses"
)

// How often sensors are read.
const (
	// Long enough that a reading is of more than one phase of a program, short enough that LC does
	// not notice for long; resctrl interrupts a core of each socket for it. (guess)
	senseEvery = 5 * time.Millisecond
	// CPUs go offline by a person's hand. (guess)
	onlineEvery = time.Second
	// senseGaps is how many readings in a row may fail before what was read last counts no more.
	// (guess: 100 ms)
	senseGaps = 20
)

// senses are what this machine says of itself, as far as policies go by it.
type senses struct {
	sibling func(cpu int) (int, bool)
	online  func() ([]int, error)
	look    time.Duration // how often it is asked
	memory  sensor.Memory // nil: nobody measures it
	misses  sensor.Misses // nil: nobody counts them
	counter io.Closer     // of misses
	list    []control.CoreSensor
	gaps    int // readings of memory that failed in a row
}

// openSenses finds out which sensors this machine has for the lent CPUs.
func openSenses(cpus []int) (*senses, error) {
	root := os.DirFS(sensor.CPURoot)
	topology, err := sensor.ReadTopology(root, cpus)
	if err != nil {
		return nil, err
	}
	s := &senses{
		sibling: topology.Sibling,
		online:  func() ([]int, error) { return sensor.Online(root) },
		look:    onlineEvery,
	}
	s.addSiblings(cpus)
	memory, err := sensor.OpenResctrl(os.DirFS(sensor.ResctrlRoot))
	if err == nil {
		s.memory = memory
	}
	s.add(memorySensor, err)
	misses, err := sensor.OpenPerf(sensor.OpenCounter, cpus)
	if err == nil {
		s.misses, s.counter = misses, misses
	}
	s.add(missesSensor, err)
	return s, nil
}

func (s *senses) addSiblings(cpus []int) {
	for _, cpu := range cpus {
		if other, ok := s.sibling(cpu); ok && slices.Contains(cpus, other) {
			s.add(siblingsSensor, nil)
			return
		}
	}
	s.add(siblingsSensor, errors.New("no two of the lent CPUs share a core"))
}

// add lists a sensor that is there, or with an error is not.
func (s *senses) add(name string, err error) {
	entry := control.CoreSensor{Name: name, Available: err == nil}
	var missing *sensor.Unavailable
	switch {
	case errors.As(err, &missing):
		entry.Why = missing.Why
		if missing.Remedy != "" {
			entry.Why += " (" + missing.Remedy + ")"
		}
	case err != nil:
		entry.Why = err.Error()
	}
	s.list = append(s.list, entry)
}

// String lists the sensors in one line.
func (s *senses) String() string {
	var has, lacks []string
	for _, e := range s.list {
		if e.Available {
			has = append(has, e.Name)
		} else {
			lacks = append(lacks, e.Name+": "+e.Why)
		}
	}
	line := "no sensor"
	if len(has) > 0 {
		line = "sensors " + strings.Join(has, ", ")
	}
	if len(lacks) > 0 {
		line += "; without " + strings.Join(lacks, "; ")
	}
	return line
}

// siblings are, of each lent CPU, the index of its other hyperthread or policy.None.
func (s *senses) siblings(cpus []int) []int16 {
	list := make([]int16, len(cpus))
	for i, cpu := range cpus {
		list[i] = policy.None
		if other, ok := s.sibling(cpu); ok {
			list[i] = int16(slices.Index(cpus, other)) // policy.None if it is not lent
		}
	}
	return list
}

// Where slices.Index finds nothing stands what policies take for nobody.
var _ = [1]struct{}{}[policy.None+1]

func (s *senses) close() error {
	if s == nil || s.counter == nil {
		return nil
	}
	return s.counter.Close()
}

// sense takes readings to the scheduler until ctx ends: of the CPUs that are online always, of
// memory only where there is a limit to hold.
func (d *Daemon) sense(ctx context.Context) {
	l := d.lending
	online := time.NewTicker(l.senses.look)
	defer online.Stop()
	var due <-chan time.Time
	if l.senses.memory != nil && d.o.Config.Cores.BandwidthLimit > 0 {
		memory := time.NewTicker(senseEvery)
		defer memory.Stop()
		due = memory.C
	}
	d.lookOnline()
	for {
		select {
		case <-ctx.Done():
			return
		case <-online.C:
			d.lookOnline()
		case <-due:
			if l.users.Load() > 0 {
				d.senseMemory()
			}
		}
	}
}

// lookOnline takes out the cores whose CPUs have gone offline, and has back those that are there
// again.
func (d *Daemon) lookOnline() {
	l := d.lending
	online, err := l.senses.online()
	if err != nil {
		d.log.Warn("iokernel: which CPUs are online", "err", err)
		return
	}
	for i, cpu := range l.cpus {
		offline := !slices.Contains(online, cpu)
		if l.offline[i] == offline {
			continue
		}
		l.offline[i] = offline
		d.log.Warn("iokernel: a CPU that is lent went offline or came back", "cpu", cpu,
			"online", !offline)
		d.loop.Do(func() { l.scheduler.SetOffline(d.clock.Now(), i, offline) })
	}
}

// senseMemory reads the memory traffic, and who misses the caches.
func (d *Daemon) senseMemory() {
	l, s := d.lending, d.lending.senses
	now := d.clock.Now()
	traffic, err := s.memory.BytesPerSecond(now)
	reading := policy.Reading{Valid: err == nil, Value: traffic}
	if err != nil {
		// One that is missing says nothing; without one for long nobody may be held back for what
		// was read then.
		if s.gaps++; s.gaps != senseGaps {
			return
		}
		d.log.Warn("iokernel: memory traffic cannot be read", "err", err)
	} else {
		s.gaps = 0
	}
	missed := s.readMisses(now, l.cpus)
	d.loop.Do(func() {
		l.scheduler.SetMemoryTraffic(now, reading)
		if missed != nil {
			l.scheduler.SetMisses(now, missed)
		}
	})
}

// readMisses reads what each CPU misses; nil if nobody counts that.
func (s *senses) readMisses(now core.Time, cpus []int) []policy.Reading {
	if s.misses == nil {
		return nil
	}
	list := make([]policy.Reading, len(cpus))
	for i, cpu := range cpus {
		n, err := s.misses.PerSecond(now, cpu)
		list[i] = policy.Reading{Valid: err == nil, Value: n}
	}
	return list
}

// line says which CPUs are lent, by which policy, and by what that goes; empty if none are.
func (l *lending) line(c *config.Config) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("; lends CPUs %s by policy %v, %v", config.FormatList(l.cpus),
		c.Cores.Policy, l.senses)
}
