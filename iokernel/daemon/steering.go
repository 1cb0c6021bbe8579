package daemon

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/iokernel/config"
)

// steering keeps the XDP program's tables at what is wanted: the endpoints of the attached
// runtimes, UDP ones on each address that the interface has now.
type steering struct {
	program *bpf.Steer

	mu        sync.Mutex
	addrs     []netip.Addr
	wanted    []config.Endpoint
	types     map[uint16]bool         // EtherTypes that the program has
	addresses map[netip.AddrPort]bool // UDP endpoints that the program has
}

func newSteering(p *bpf.Steer) *steering {
	return &steering{program: p, types: map[uint16]bool{}, addresses: map[netip.AddrPort]bool{}}
}

// add has the program take the endpoints' frames. On error nothing was added.
func (s *steering) add(endpoints []config.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = append(s.wanted, endpoints...)
	err := s.reconcile()
	if err != nil {
		s.drop(endpoints)
		err = errors.Join(err, s.reconcile())
	}
	return err
}

// remove gives the endpoints' frames back to the kernel.
func (s *steering) remove(endpoints []config.Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(endpoints)
	return s.reconcile()
}

func (s *steering) drop(endpoints []config.Endpoint) {
	for _, e := range endpoints {
		if i := slices.Index(s.wanted, e); i >= 0 {
			s.wanted = slices.Delete(s.wanted, i, i+1)
		}
	}
}

// setAddresses follows the interface's addresses.
func (s *steering) setAddresses(addrs []netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addrs = slices.Clone(addrs)
	return s.reconcile()
}

// reconcile adds what the program lacks, then removes what it should not have. What fails is tried
// again at the next change.
func (s *steering) reconcile() error {
	types, addresses := map[uint16]bool{}, map[netip.AddrPort]bool{}
	for _, e := range s.wanted {
		if e.EtherType != 0 {
			types[e.EtherType] = true
			continue
		}
		for _, a := range s.addrs {
			if !e.Address.IsValid() || e.Address.Unmap() == a.Unmap() {
				addresses[netip.AddrPortFrom(a.Unmap(), e.UDP)] = true
			}
		}
	}
	return errors.Join(
		converge(s.types, types, s.program.SetEtherType),
		converge(s.addresses, addresses, func(a netip.AddrPort, on bool) error {
			return s.program.SetUDP(a.Addr(), a.Port(), on)
		}))
}

// converge brings have to want by calls of set, and keeps have at what was done.
func converge[K comparable](have, want map[K]bool, set func(K, bool) error) error {
	var errs []error
	for k := range want {
		if !have[k] {
			if err := set(k, true); err != nil {
				errs = append(errs, err)
				continue
			}
			have[k] = true
		}
	}
	for k := range have {
		if !want[k] {
			if err := set(k, false); err != nil {
				errs = append(errs, err)
				continue
			}
			delete(have, k)
		}
	}
	return errors.Join(errs...)
}
