package config

import (
	"fmt"
	"slices"
	"strings"
)

// validateRuntimes looks at each runtime by itself.
func (c *Config) validateRuntimes(p *problems) {
	if len(c.Runtimes) > MaxRuntimes {
		p.add("runtimes", "%d runtimes; want at most %d", len(c.Runtimes), MaxRuntimes)
	}
	for i := range c.Runtimes {
		prefix := fmt.Sprintf("runtimes[%d].", i)
		c.Runtimes[i].validate(p, prefix)
		c.Runtimes[i].validateClass(p, prefix, c.Cores.Lend)
	}
}

func (r *Runtime) validate(p *problems, prefix string) {
	if !validName(r.Name) {
		p.add(prefix+"name", "%q: want 1 to %d of a-z, 0-9, - and _, beginning with a letter or "+
			"digit", r.Name, maxRuntimeName)
	}
	if len(r.UIDs)+len(r.GIDs) == 0 {
		p.add(prefix+"uids", "nobody may attach as %q: list a user here or a group in gids", r.Name)
	}
	for _, a := range slices.Concat(r.UIDs, r.GIDs) {
		if !a.Known {
			p.add(prefix+"name", "account %q was not looked up", a.Name)
		}
	}
	if r.Workers < 1 || r.Workers > maxWorkers {
		p.add(prefix+"workers", "%d: want 1 to %d", r.Workers, maxWorkers)
	} else {
		p.sizes(prefix, r.RingEntries, r.Frames, r.ChunkBytes, r.Workers)
	}
	switch {
	case r.AllowDirect && (r.Queue < 0 || r.Queue > maxCPU):
		p.add(prefix+"queue", "allow_direct needs a queue of the runtime's own; give its number")
	case !r.AllowDirect && r.Queue != NoQueue:
		p.add(prefix+"queue", "is for direct runtimes only; add allow_direct: true, or take it out")
	}
	if len(r.Endpoints) == 0 && r.Class != ClassBE { // which may only compute
		p.add(prefix+keyEndpoints, "%q serves nothing; list an EtherType or a UDP port", r.Name)
	}
	if len(r.Endpoints) > MaxEndpoints {
		p.add(prefix+keyEndpoints, "%d endpoints; want at most %d", len(r.Endpoints), MaxEndpoints)
	}
	for k, e := range r.Endpoints {
		if text := e.flaw(); text != "" {
			p.add(fmt.Sprintf("%s%s[%d]", prefix, keyEndpoints, k), "%s", text)
		}
	}
}

// maxRuntimeName bounds a runtime's name, in bytes: it stands in thread names, metrics and logs.
const maxRuntimeName = 32

func validName(name string) bool {
	if name == "" || len(name) > maxRuntimeName || name[0] == '-' || name[0] == '_' {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// flaw says what is wrong with an endpoint by itself, or nothing.
func (e Endpoint) flaw() string {
	switch {
	case e.EtherType == 0 && e.UDP == 0:
		return "want an ethertype, or a udp port from 1 to 65535"
	case e.EtherType != 0 && e.UDP != 0:
		return "ethertype and udp are two endpoints; list them one by one"
	case e.EtherType != 0 && e.Address.IsValid():
		return "address goes with udp; frames of an EtherType have none"
	case e.EtherType != 0 && e.EtherType < reservedBelow:
		return fmt.Sprintf("EtherType 0x%04X is a length; want 0x%04X or more, 0x88B5 is free for "+
			"private use", e.EtherType, reservedBelow)
	case e.UDP != 0 && e.Address.IsValid() && !isUnicast(e):
		return fmt.Sprintf("%v is not a unicast address", e.Address)
	}
	if name := kernels(e.EtherType); name != "" {
		return fmt.Sprintf("EtherType 0x%04X is %s, which stays with the kernel; 0x88B5 is free "+
			"for private use", e.EtherType, name)
	}
	return ""
}

func isUnicast(e Endpoint) bool {
	return e.Address.IsGlobalUnicast() || e.Address.IsLinkLocalUnicast() || e.Address.IsLoopback()
}

// kernels names the EtherTypes that the XDP program never takes.
func kernels(etherType uint16) string {
	switch etherType {
	case 0x0800:
		return "IPv4"
	case 0x0806:
		return "ARP"
	case 0x8100, 0x88A8:
		return "a VLAN tag"
	case 0x86DD:
		return "IPv6"
	}
	return ""
}

// validateShares looks at what only one can have: names, endpoints, queues, spinning cores.
func (c *Config) validateShares(p *problems) {
	udp := 0
	for i, r := range c.Runtimes {
		prefix := fmt.Sprintf("runtimes[%d].", i)
		for k, e := range r.Endpoints {
			if e.UDP != 0 {
				udp++
			}
			c.checkTaken(p, i, k)
		}
		same := slices.IndexFunc(c.Runtimes[:i], func(o Runtime) bool { return o.Name == r.Name })
		if same >= 0 && r.Name != "" {
			p.add(prefix+"name", "%q is the name of runtimes[%d] too", r.Name, same)
		}
		if r.AllowDirect && r.Queue >= 0 {
			c.checkQueue(p, i)
		}
		if c.Poll == PollSpin && c.CPU != AnyCPU && slices.Contains(r.CPUs, int(c.CPU)) {
			p.add(prefix+"cpus", "CPU %d is the iokernel's, which never sleeps (poll: spin); "+
				"name another, or set poll to adaptive", c.CPU)
		}
	}
	if udp > maxUDP {
		p.add("runtimes", "%d UDP endpoints; want at most %d", udp, maxUDP)
	}
}

// checkTaken reports the earlier endpoint that gets the same frames, if there is one.
func (c *Config) checkTaken(p *problems, i, k int) {
	e := c.Runtimes[i].Endpoints[k]
	for j := 0; j <= i; j++ {
		for m, o := range c.Runtimes[j].Endpoints {
			if j == i && m >= k {
				return
			}
			if e.collides(o) && e.flaw() == "" {
				p.add(fmt.Sprintf("runtimes[%d].%s[%d]", i, keyEndpoints, k),
					"%v is taken by %v of runtimes[%d] (%s)", e, o, j, c.Runtimes[j].Name)
				return
			}
		}
	}
}

// checkQueue reports who else has a queue of a direct runtime.
func (c *Config) checkQueue(p *problems, i int) {
	r := c.Runtimes[i]
	key := fmt.Sprintf("runtimes[%d].queue", i)
	end := r.Queue + r.Workers
	for _, q := range c.XDP.Queues.List {
		if q >= r.Queue && q < end {
			p.add(key, "queue %d is listed in xdp.queues, for the iokernel; a direct runtime "+
				"needs its own", q)
		}
	}
	for j, o := range c.Runtimes[:i] {
		if o.AllowDirect && o.Queue < end && r.Queue < o.Queue+o.Workers {
			p.add(key, "queues %d to %d overlap with those of runtimes[%d] (%s), %d to %d",
				r.Queue, end-1, j, o.Name, o.Queue, o.Queue+o.Workers-1)
		}
	}
}
