package dataplane

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// MaxEndpoints is the most endpoints of one worker. They are searched in order for each packet, so
// few: a search of 16 costs about as much as one cache miss. (guess)
const MaxEndpoints = 16

// minEtherType is the lowest: below it the field is a length (IEEE 802.3, clause 3.2.6).
const minEtherType wire.EtherType = 0x0600

// Handler serves one request. It runs on the worker's thread and must not block; the Request is
// valid until it returns.
type Handler func(*Request)

// service is what a packet must be to match an endpoint: its kind and its EtherType or port.
type service uint32

const (
	serviceRaw service = 1 << 16
	serviceUDP service = 2 << 16
)

// IP versions that an endpoint serves, as bits.
const (
	version4   uint8 = 1
	version6   uint8 = 2
	versionAny       = version4 | version6
)

// endpoint is one entry of the table.
type endpoint struct {
	service  service
	versions uint8    // of IP; not for raw
	limited  bool     // to packets for addr
	addr     [16]byte // as in wire.UDPAddr
	handler  Handler
}

// endpoints is a worker's table: those limited to an address first, so that the first match is the
// closest.
type endpoints struct {
	list  [MaxEndpoints]endpoint
	count int
}

func (t *endpoints) add(e endpoint) error {
	if t.count == MaxEndpoints {
		return fmt.Errorf("there are %d endpoints already, the most of one worker", MaxEndpoints)
	}
	for i := range t.list[:t.count] {
		o := &t.list[i]
		if o.service == e.service && o.limited == e.limited && o.addr == e.addr &&
			(o.versions&e.versions != 0 || o.versions == e.versions) {
			return fmt.Errorf("another endpoint serves that already")
		}
	}
	at := t.count
	if e.limited {
		copy(t.list[1:], t.list[:t.count])
		at = 0
	}
	t.list[at] = e
	t.count++
	return nil
}

// HandleRaw gives packets of an EtherType to h. It is for wiring, or for the worker's thread
// between two turns.
func (w *Worker) HandleRaw(t wire.EtherType, h Handler) error {
	switch {
	case h == nil:
		return fmt.Errorf("dataplane: serve EtherType %v: no handler", t)
	case t < minEtherType || t == wire.EtherTypeIPv4 || t == wire.EtherTypeIPv6 ||
		t == wire.EtherTypeVLAN || t == wire.EtherTypeQinQ || t == wire.EtherTypeARP:
		return fmt.Errorf("dataplane: serve EtherType %v: it is the kernel's", t)
	}
	if err := w.endpoints.add(endpoint{service: serviceRaw | service(t), handler: h}); err != nil {
		return fmt.Errorf("dataplane: serve EtherType %v: %w", t, err)
	}
	return nil
}

// HandleUDP gives UDP packets to at to h, the rules of threads as for HandleRaw. Without an address
// (the zero netip.Addr) it serves all addresses of both IP versions, with 0.0.0.0 or :: all of that
// version. An endpoint with an address goes before one without.
func (w *Worker) HandleUDP(at netip.AddrPort, h Handler) error {
	switch {
	case h == nil:
		return fmt.Errorf("dataplane: serve UDP %v: no handler", at)
	case at.Port() == 0:
		return fmt.Errorf("dataplane: serve UDP %v: port 0 is none", at)
	}
	e := endpoint{service: serviceUDP | service(at.Port()), versions: versionAny, handler: h}
	switch ip := at.Addr().Unmap(); {
	case ip.Is4():
		e.versions = version4
	case ip.Is6():
		e.versions = version6
	}
	if ip := at.Addr(); ip.IsValid() && !ip.Unmap().IsUnspecified() {
		e.limited, e.addr = true, wire.UDPAddrFrom(at).Addr
	}
	if err := w.endpoints.add(e); err != nil {
		return fmt.Errorf("dataplane: serve UDP %v: %w", at, err)
	}
	return nil
}
