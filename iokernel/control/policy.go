package control

import (
	"slices"
	"strings"
)

// Credentials are what the kernel says of a process.
type Credentials struct {
	PID    int // 0 if it is in a PID namespace that we cannot see
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary
}

// in reports whether the process is a member of one of the groups.
func (c Credentials) in(groups []uint32) bool {
	return slices.Contains(groups, c.GID) ||
		slices.ContainsFunc(c.Groups, func(g uint32) bool { return slices.Contains(groups, g) })
}

// Rule says who may attach under one name, and to what.
type Rule struct {
	Runtime     string
	UIDs        []uint32
	GIDs        []uint32
	AllowDirect bool
	Guest       bool // class be: it may attach as a guest
	Lent        bool // class lc or be: its cores come and go
	Cores       int  // most that it can get
	Endpoints   []Endpoint
}

func (r Rule) admits(c Credentials) bool {
	return slices.Contains(r.UIDs, c.UID) || c.in(r.GIDs)
}

// serves reports whether the rule has an endpoint that includes the wanted one.
func (r Rule) serves(want Endpoint) bool {
	return slices.ContainsFunc(r.Endpoints, func(e Endpoint) bool {
		return e.EtherType == want.EtherType && e.UDP == want.UDP &&
			(e.Address == want.Address || !e.Address.IsValid() || !want.Address.IsValid())
	})
}

// Policy says who may do what. It comes from the configuration and does not change.
type Policy struct {
	Rules      []Rule
	StatusUIDs []uint32 // who may ask for the status, besides root
	StatusGIDs []uint32
}

// Connect decides about a new connection: whoever may neither attach nor ask is not listened to.
func (p Policy) Connect(c Credentials) *Refusal {
	if p.Status(c) == nil ||
		slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.admits(c) }) {
		return nil
	}
	return Refuse(CodeDenied, "uid %d (gid %d) is not in uids or gids of any runtime in the "+
		"iokernel's configuration", c.UID, c.GID)
}

// Attach decides about a Hello. The configuration speaks alone: root too must be listed.
func (p Policy) Attach(c Credentials, h Hello) *Refusal {
	k := slices.IndexFunc(p.Rules, func(r Rule) bool { return r.Runtime == h.Runtime })
	if k < 0 {
		return Refuse(CodeDenied, "no runtime %.64q in the iokernel's configuration; uid %d may "+
			"attach as %s", h.Runtime, c.UID, p.names(c))
	}
	rule := p.Rules[k]
	if !rule.admits(c) {
		return Refuse(CodeDenied, "uid %d (gid %d) is not in uids or gids of runtime %q in the "+
			"iokernel's configuration; it may attach as %s", c.UID, c.GID, h.Runtime, p.names(c))
	}
	if refusal := rule.cores(h); refusal != nil {
		return refusal
	}
	switch h.Mode {
	case Mediated:
	case Guest:
		if !rule.Guest {
			return Refuse(CodeDenied, "runtime %q may not attach as a guest: ordinary programs "+
				"run under a runtime of class be", h.Runtime)
		}
	case Direct:
		if !rule.AllowDirect {
			return Refuse(CodeDenied, "runtime %q may not attach in direct mode: nobody could "+
				"check what it sends; allow_direct in the iokernel's configuration permits it",
				h.Runtime)
		}
	default:
		return Refuse(CodeMalformed, "mode %.32q: want %q, %q or %q", h.Mode, Mediated, Direct,
			Guest)
	}
	for _, e := range h.Endpoints {
		if !rule.serves(e) {
			return Refuse(CodeDenied, "%v is not among the endpoints of runtime %q in the "+
				"iokernel's configuration", e, h.Runtime)
		}
	}
	return nil
}

// cores decides about the number of cores.
func (r Rule) cores(h Hello) *Refusal {
	switch {
	case h.Cores < 0:
		return Refuse(CodeMalformed, "%d cores", h.Cores)
	case h.Cores > r.Cores:
		return Refuse(CodeDenied, "runtime %q asks for %d cores and can get %d at most: raise "+
			"its `most` or lend more CPUs (cores.lend) in the iokernel's configuration",
			h.Runtime, h.Cores, r.Cores)
	case r.Lent && h.Mode == Direct:
		return Refuse(CodeDenied, "runtime %q may not attach in direct mode: its cores come and "+
			"go with its frames, which the iokernel would not see; take its class out of the "+
			"iokernel's configuration to pin it", h.Runtime)
	}
	return nil
}

// Status decides about a StatusRequest.
func (p Policy) Status(c Credentials) *Refusal {
	if c.UID == 0 || slices.Contains(p.StatusUIDs, c.UID) || c.in(p.StatusGIDs) {
		return nil
	}
	return Refuse(CodeDenied, "the status is for root and the group of the control socket")
}

// names lists what a process may attach as.
func (p Policy) names(c Credentials) string {
	var names []string
	for _, r := range p.Rules {
		if r.admits(c) {
			names = append(names, r.Runtime)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
