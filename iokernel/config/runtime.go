package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// runtimeSetting is one key of an entry of runtimes, endpoints apart.
type runtimeSetting struct {
	key string
	at  func(*Runtime) any
}

func runtimeSettings() []runtimeSetting {
	return []runtimeSetting{
		{"name", func(r *Runtime) any { return &r.Name }},
		{"uids", func(r *Runtime) any { return &r.UIDs }},
		{"gids", func(r *Runtime) any { return &r.GIDs }},
		{"workers", func(r *Runtime) any { return &r.Workers }},
		{"cpus", func(r *Runtime) any { return &r.CPUs }},
		{"frames", func(r *Runtime) any { return &r.Frames }},
		{"chunk_bytes", func(r *Runtime) any { return &r.ChunkBytes }},
		{"ring_entries", func(r *Runtime) any { return &r.RingEntries }},
		{"allow_direct", func(r *Runtime) any { return &r.AllowDirect }},
		{"queue", func(r *Runtime) any { return &r.Queue }},
		{"class", func(r *Runtime) any { return &r.Class }},
		{"reserved", func(r *Runtime) any { return &r.Reserved }},
		{"most", func(r *Runtime) any { return &r.Most }},
		{"quantum", func(r *Runtime) any { return &r.Quantum }},
		{"request_budget", func(r *Runtime) any { return &r.RequestBudget }},
	}
}

// The keys of an endpoint.
const (
	keyEndpoints = "endpoints"
	keyEtherType = "ethertype"
	keyUDP       = "udp"
	keyAddress   = "address"
)

// set reads one key of an endpoint.
func (e *Endpoint) set(key, text string) error {
	switch key {
	case keyEtherType:
		return set16(&e.EtherType, text, "an EtherType like 0x88B5")
	case keyUDP:
		return set16(&e.UDP, text, "a UDP port, 1 to 65535")
	case keyAddress:
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return fmt.Errorf("want an IP address like 10.0.0.1, without a zone")
		}
		e.Address = addr.Unmap()
		return nil
	}
	panic("config: endpoint key " + key)
}

// set16 reads a number that must not be 0, which would mean that it is not there.
func set16(at *uint16, text, want string) error {
	n, err := parseInt(text)
	if err != nil || n < 1 || n > 0xffff {
		return fmt.Errorf("want %s", want)
	}
	*at = uint16(n)
	return nil
}

// String is the endpoint as in a file: {udp: 7777, address: 10.0.0.1}.
func (e Endpoint) String() string {
	if e.EtherType != 0 {
		return fmt.Sprintf("{%s: 0x%04X}", keyEtherType, e.EtherType)
	}
	if e.Address.IsValid() {
		return fmt.Sprintf("{%s: %d, %s: %v}", keyUDP, e.UDP, keyAddress, e.Address)
	}
	return fmt.Sprintf("{%s: %d}", keyUDP, e.UDP)
}

// collides reports whether one frame could belong to both.
func (e Endpoint) collides(o Endpoint) bool {
	if e.EtherType != 0 || o.EtherType != 0 {
		return e.EtherType == o.EtherType
	}
	return e.UDP == o.UDP &&
		(!e.Address.IsValid() || !o.Address.IsValid() || e.Address == o.Address)
}

func formatEndpoints(list []Endpoint) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
