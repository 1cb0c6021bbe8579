package iokernel

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// address is a local IP address as the wire's UDPAddr holds it, without the port.
type address struct {
	bytes [16]byte
	v6    bool
}

func local(a netip.Addr) address {
	u := wire.UDPAddrFrom(netip.AddrPortFrom(a, 0))
	return address{u.Addr, u.V6}
}

// entry is one registered endpoint.
type entry struct {
	Endpoint
	addr    address
	any     bool // UDP on every local address
	runtime *Runtime
	next    uint16 // another entry of the same port, as index + 1
}

// table finds the runtime of a packet. UDP: an array by port, then the few entries of that port;
// raw: a short list. It is rebuilt whole whenever a runtime comes or goes, which is rare.
type table struct {
	entries []entry
	raw     []uint16        // indices of entries with an EtherType
	ports   [1 << 16]uint16 // first entry of a UDP port, as index + 1
	addrs   []address       // of the interface
}

// rebuild fills the table from the attached runtimes.
func (t *table) rebuild(runtimes []*Runtime) {
	for _, e := range t.entries {
		t.ports[e.Port] = 0
	}
	clear(t.entries) // nothing beyond its length keeps a detached runtime alive
	t.entries, t.raw = t.entries[:0], t.raw[:0]
	for _, r := range runtimes {
		if r.cut {
			continue
		}
		for _, e := range r.endpoints {
			n := entry{Endpoint: e, runtime: r}
			if e.EtherType != 0 {
				t.raw = append(t.raw, uint16(len(t.entries)))
			} else {
				n.any = !e.Addr.IsValid()
				if !n.any {
					n.addr = local(e.Addr)
				}
				n.next = t.ports[e.Port]
				t.ports[e.Port] = uint16(len(t.entries) + 1)
			}
			t.entries = append(t.entries, n)
		}
	}
}

// conflict returns an error if an endpoint is another runtime's, or registered twice.
func (t *table) conflict(endpoints []Endpoint) error {
	if n := len(t.entries) + len(endpoints); n > MaxEndpoints {
		return fmt.Errorf("%d endpoints in all: at most %d", n, MaxEndpoints)
	}
	for i, e := range endpoints {
		if (e.EtherType == 0) == (e.Port == 0) {
			return fmt.Errorf("endpoint %d: want either an EtherType or a UDP port", i)
		}
		for _, o := range endpoints[:i] {
			if e.overlaps(o) {
				return fmt.Errorf("endpoint %s is named twice", e)
			}
		}
		for _, o := range t.entries {
			if e.overlaps(o.Endpoint) {
				return fmt.Errorf("endpoint %s is taken by runtime %s", e, o.runtime.name)
			}
		}
	}
	return nil
}

func (e Endpoint) overlaps(o Endpoint) bool {
	if e.EtherType != 0 || o.EtherType != 0 {
		return e.EtherType == o.EtherType
	}
	return e.Port == o.Port &&
		(!e.Addr.IsValid() || !o.Addr.IsValid() || local(e.Addr) == local(o.Addr))
}
