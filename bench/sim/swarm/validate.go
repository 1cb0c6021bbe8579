package swarm

import (
	"fmt"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/transport"
)

// Validate reports what makes a scenario impossible to run. Those that Draw makes are possible.
func (s *Scenario) Validate() error {
	if err := s.Script.Validate(); err != nil {
		return err
	}
	if n := len(s.Hosts); n < 2 || n > MaxHosts || n != s.Script.Hosts {
		return fmt.Errorf("swarm: %d hosts and a script for %d: want as many, 2 to %d", n,
			s.Script.Hosts, MaxHosts)
	}
	for i := range s.Hosts {
		if !s.Hosts[i].valid(i, len(s.Hosts)) {
			return fmt.Errorf("swarm: host %d cannot be like that: %+v", i, s.Hosts[i])
		}
	}
	for i, a := range s.Acts {
		if a.Host < 0 || a.Host >= len(s.Hosts) || a.Kind > Restart || a.For < 0 {
			return fmt.Errorf("swarm: act %d, %v of host %d, cannot be", i, a.Kind, a.Host)
		}
		if i > 0 && a.After < s.Acts[i-1].After {
			return fmt.Errorf("swarm: act %d comes after %d frames, before act %d", i, a.After, i-1)
		}
	}
	if err := s.Heal.validate(len(s.Hosts)); err != nil {
		return err
	}
	return s.Work.validate()
}

func (p *Plan) valid(self, hosts int) bool {
	for _, peer := range p.Peers {
		if peer < 0 || peer >= hosts || peer == self {
			return false
		}
	}
	return p.MTU >= 1280 && p.MTU <= 9000 && p.Lanes >= 1 && p.Lanes <= transport.MaxLanes &&
		p.Ring >= 1 && p.Burst >= 1 && p.FrameCost > 0 && p.EventCost > 0 && p.ClockAt >= 0 &&
		p.DriftPPM > -million/2 && p.DriftPPM < million/2 && p.Handshake >= 0 &&
		p.RenewAfter >= 0 && (p.UDP == 0 || p.UDP == 4 || p.UDP == 6)
}

func (h *Heal) validate(hosts int) error {
	seen := make([]bool, hosts)
	for _, i := range h.Well {
		if i < 0 || i >= hosts || seen[i] {
			return fmt.Errorf("swarm: host %d cannot be healed, or twice", i)
		}
		seen[i] = true
	}
	if len(h.Well) < 2 || len(h.Well)+len(h.Other) != hosts {
		return fmt.Errorf("swarm: %d hosts are healed, %d are not, of %d: want two or more",
			len(h.Well), len(h.Other), hosts)
	}
	for _, f := range h.Other {
		if f > Deaf {
			return fmt.Errorf("swarm: fate %d is none", f)
		}
	}
	return nil
}

func (w *Work) validate() error {
	shares := [...]int{w.Silent, w.Refuse, w.Stable, w.Wild, w.Sizes.Small, w.Replies.Small}
	for _, p := range shares {
		if p < 0 || p > 100 {
			return fmt.Errorf("swarm: %d of 100", p)
		}
	}
	for _, weight := range w.Weights {
		if weight < 0 {
			return fmt.Errorf("swarm: a weight of %d", weight)
		}
	}
	if w.Gap < 1 || w.Outstanding < 0 || w.Outstanding > maxOpen || w.Deadline[0] < 1 ||
		w.Deadline[1] < w.Deadline[0] || w.Deadline[1] > 60*core.Second || w.Closes < 0 ||
		w.Regions < 0 || w.Regions > perHost || w.RegionBytes < 1 ||
		w.RegionBytes > mostBytes || w.Think < 0 {
		return fmt.Errorf("swarm: work cannot be like that: %+v", *w)
	}
	for _, s := range [...]Sizes{w.Sizes, w.Replies} {
		if s.Least < 0 || s.Most < max(s.Least, 1) || s.Most > mostBytes {
			return fmt.Errorf("swarm: messages of at most %d bytes: want 1 to %d", s.Most,
				mostBytes)
		}
	}
	return nil
}
