package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/dunlin-io/dunlin/core/nesting"
	"github.com/dunlin-io/dunlin/dataplane/transport/identity"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Parse reads a cluster file; name is for messages. Its error joins all mistakes.
func Parse(name string, text []byte) (*Cluster, error) {
	if err := bounded(text); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := problems{file: name, places: map[string]string{}}
	f := p.read(text)
	if len(p.list) > 0 {
		return nil, errors.Join(p.list...) // looking at the values would mislead
	}
	c := p.cluster(&f)
	if len(p.list) > 0 {
		return nil, errors.Join(p.list...)
	}
	return c, nil
}

// bounded keeps the parser, which recurses, from a hostile file.
func bounded(text []byte) error {
	if len(text) > maxFileBytes {
		return fmt.Errorf("%d bytes; a cluster file has at most %d", len(text), maxFileBytes)
	}
	return nesting.Check(text, maxDepth)
}

// few complains about a list that is too long.
func (p *problems) few(key string, count, limit int) {
	if count > limit {
		p.add(key, "%d entries; want at most %d", count, limit)
	}
}

func (p *problems) cluster(f *file) *Cluster {
	c := &Cluster{Name: f.cluster}
	if err := identity.CheckName(f.cluster); err != nil {
		p.add("cluster", "%v", err)
	}
	p.few("allow", len(f.allow), MaxAllow)
	for i, text := range f.allow {
		rule, err := parseRule(text)
		if err != nil {
			p.add(fmt.Sprintf("allow[%d]", i), "%q: %v", text, err)
		}
		c.Allow = append(c.Allow, rule)
	}
	p.few("hosts", len(f.hosts), MaxHosts)
	for i := range f.hosts {
		h := p.host(fmt.Sprintf("hosts[%d]", i), &f.hosts[i])
		p.unique(fmt.Sprintf("hosts[%d]", i), c, &h)
		c.Hosts = append(c.Hosts, h)
	}
	return c
}

// parseRule reads host/runtime, either of which may be *.
func parseRule(text string) (r identity.Rule, err error) {
	var ok bool
	if r.Host, r.Runtime, ok = strings.Cut(text, "/"); !ok {
		return r, errors.New(`want host/runtime; "*" stands for every name`)
	}
	for _, name := range []string{r.Host, r.Runtime} {
		if err := identity.CheckName(name); err != nil && name != identity.Anybody {
			return r, err
		}
	}
	return r, nil
}

func (p *problems) host(key string, f *fileHost) Host {
	h := Host{Name: f.name}
	if err := identity.CheckName(f.name); err != nil {
		p.add(key+".name", "%v", err)
	}
	if len(f.keys) == 0 {
		p.add(key+".keys", "host %q has none; dunlin cluster key makes one", f.name)
	}
	p.few(key+".keys", len(f.keys), MaxKeys)
	for i, text := range f.keys {
		k, err := identity.ParsePublicKey(text)
		if err != nil {
			p.add(fmt.Sprintf("%s.keys[%d]", key, i), "%q: %v", text, err)
			continue
		}
		h.Keys = append(h.Keys, k)
	}
	p.few(key+".raw", len(f.raw), MaxAddresses)
	for i, text := range f.raw {
		mac, err := wire.ParseMAC(text)
		if err == nil && (mac.IsMulticast() || mac == wire.MAC{}) {
			err = errors.New("not the address of one interface")
		}
		if err != nil {
			p.add(fmt.Sprintf("%s.raw[%d]", key, i), "%q: %v", text, err)
		}
		h.Raw = append(h.Raw, mac)
	}
	p.few(key+".udp", len(f.udp), MaxAddresses)
	for i, text := range f.udp {
		a, err := ParseUDP(text)
		if err != nil {
			p.add(fmt.Sprintf("%s.udp[%d]", key, i), "%q: %v", text, err)
		}
		h.UDP = append(h.UDP, a)
	}
	return h
}

// ParseUDP reads the address of a host's UDP endpoint.
func ParseUDP(text string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(text)
	switch {
	case err != nil:
		return a, errors.New("want an address and a port, like 192.0.2.1:7471 or " +
			"[2001:db8::1]:7471")
	case a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() ||
		a.Addr().Zone() != "":
		return a, errors.New("not the address and port of one host")
	}
	return a, nil
}

// unique complains when h has a name, a key or an address that a host of c has.
func (p *problems) unique(key string, c *Cluster, h *Host) {
	if o := c.Host(h.Name); o != nil {
		p.add(key+".name", "%q is the name of another host too", h.Name)
	}
	for _, k := range h.Keys {
		if o := c.Signer(k); o != "" {
			p.add(key+".keys", "%s is a key of host %q too", identity.FormatPublicKey(k), o)
		}
	}
	for i := range c.Hosts {
		for _, mac := range h.Raw {
			if contains(c.Hosts[i].Raw, mac) {
				p.add(key+".raw", "%v belongs to host %q too", mac, c.Hosts[i].Name)
			}
		}
		for _, a := range h.UDP {
			if contains(c.Hosts[i].UDP, a) {
				p.add(key+".udp", "%v belongs to host %q too", a, c.Hosts[i].Name)
			}
		}
	}
}

func contains[T comparable](list []T, v T) bool {
	for _, o := range list {
		if o == v {
			return true
		}
	}
	return false
}
