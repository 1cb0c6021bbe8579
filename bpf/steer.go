package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// MaxEndpoints bounds the UDP endpoints of one interface, in endpoints: a registration for every
// runtime and address with room to spare, 80 KiB of kernel memory. Guess.
const MaxEndpoints = 1024

// What the kernel asks of whoever loads an XDP program.
const xdpCapabilities = "CAP_BPF and CAP_NET_ADMIN"

var (
	// ErrReserved: the EtherType belongs to the kernel's stack, or is a length (below 0x0600).
	ErrReserved = errors.New("EtherType is the kernel's")
	// ErrEndpoint: not a unicast address with a port.
	ErrEndpoint = errors.New("not a unicast address and port")
	// ErrFull: MaxEndpoints are registered.
	ErrFull = errors.New("too many UDP endpoints")
)

// SteerOptions is what is known when the program is loaded.
type SteerOptions struct {
	Queues int     // receive queues of the interface, 1 to MaxQueues
	MAC    [6]byte // of the interface; frames to any other pass
	Frags  bool    // take frames that span several buffers; program and socket must agree
}

// Steer is the program of an interface that dunlin shares with the kernel's stack. It takes nothing
// until something is registered.
type Steer struct {
	objects steerObjects
	mu      sync.Mutex // guards the read-modify-write of an EtherType word
}

// LoadSteer loads the program and its maps. It fails with a *LoadError.
func LoadSteer(o SteerOptions) (*Steer, error) {
	spec, err := loadSteer()
	if err != nil {
		return nil, &LoadError{Program: steerProgSteer, Err: err}
	}
	if err := setXDP(steerProgSteer, spec, o.Queues, o.Frags); err != nil {
		return nil, err
	}
	spec.Maps[steerMapEndpoints].MaxEntries = MaxEndpoints
	if o.Frags {
		if err := spec.Variables[steerVarFrags].Set(uint8(1)); err != nil {
			return nil, &LoadError{Program: steerProgSteer, Err: err}
		}
	}
	s := new(Steer)
	if err := load(steerProgSteer, xdpCapabilities, spec, &s.objects); err != nil {
		return nil, err
	}
	if err := s.SetMAC(o.MAC); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Program is what is attached to the interface. It belongs to s.
func (s *Steer) Program() *ebpf.Program { return s.objects.Steer }

// Sockets maps receive queue to AF_XDP socket. A queue without one passes its frames to the kernel.
// It belongs to s.
func (s *Steer) Sockets() *ebpf.Map { return s.objects.Xsks }

// Close frees the kernel objects that no attachment keeps alive.
func (s *Steer) Close() error { return s.objects.Close() }

// SetMAC changes the address that frames must be sent to. Frames in flight see the old or the new
// one.
func (s *Steer) SetMAC(mac [6]byte) error {
	var word [8]byte // the program loads it as one word
	copy(word[:], mac[:])
	if err := s.objects.Config.Put(uint32(0), word[:]); err != nil {
		return fmt.Errorf("bpf: steer: set MAC %x: %w", mac, err)
	}
	return nil
}

// SetEtherType takes frames of that EtherType (on), or passes them again. IP, ARP and VLAN tags are
// the kernel's and are refused with ErrReserved.
func (s *Steer) SetEtherType(etherType uint16, on bool) error {
	const firstType, ip4, arp, vlan, ip6, qinq = 0x0600, 0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8
	switch etherType {
	case ip4, arp, vlan, ip6, qinq:
		return fmt.Errorf("bpf: steer: EtherType %#04x: %w", etherType, ErrReserved)
	}
	if etherType < firstType {
		return fmt.Errorf("bpf: steer: EtherType %#04x: %w", etherType, ErrReserved)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	index, bit := uint32(etherType/64), uint64(1)<<(etherType%64)
	var word uint64
	err := s.objects.Ethertypes.Lookup(index, &word)
	if err == nil {
		word &^= bit
		if on {
			word |= bit
		}
		err = s.objects.Ethertypes.Put(index, word)
	}
	if err != nil {
		return fmt.Errorf("bpf: steer: EtherType %#04x: %w", etherType, err)
	}
	return nil
}

// SetUDP takes UDP datagrams to that address and port (on), or passes them again; either is fine to
// repeat. An IPv4 address and its IPv6-mapped form are the same endpoint, and a zone is ignored, as
// the program serves one interface. Errors wrap ErrEndpoint, ErrFull or the kernel's.
func (s *Steer) SetUDP(addr netip.Addr, port uint16, on bool) error {
	addr = addr.Unmap()
	unicast := addr.IsGlobalUnicast() || addr.IsLinkLocalUnicast() || addr.IsLoopback()
	if !unicast || port == 0 {
		return fmt.Errorf("bpf: steer: UDP %v port %d: %w", addr, port, ErrEndpoint)
	}
	key := endpoint(addr, port)
	var err error
	if on {
		err = s.objects.Endpoints.Put(key, uint8(1))
	} else if err = s.objects.Endpoints.Delete(key); errors.Is(err, ebpf.ErrKeyNotExist) {
		err = nil
	}
	if errors.Is(err, unix.E2BIG) {
		err = ErrFull
	}
	if err != nil {
		return fmt.Errorf("bpf: steer: UDP %v: %w", netip.AddrPortFrom(addr, port), err)
	}
	return nil
}

// endpoint is the key under which the program looks a datagram up: its fields in wire order.
func endpoint(addr netip.Addr, port uint16) steerEndpoint {
	key := steerEndpoint{Version: 6}
	if addr.Is4() {
		key.Version = 4
	}
	bytes := addr.As16()
	for i := range key.Addr {
		key.Addr[i] = binary.NativeEndian.Uint32(bytes[4*i:])
	}
	key.Port = binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port))
	return key
}

// Counters returns the frames seen so far under each Reason (the index), summed over the CPUs. CPUs
// go on counting meanwhile, so the figures of one call are not of one instant.
func (s *Steer) Counters() ([]uint64, error) {
	sums := make([]uint64, Reasons)
	var perCPU []uint64
	for reason := range sums {
		if err := s.objects.Counters.Lookup(uint32(reason), &perCPU); err != nil {
			return nil, fmt.Errorf("bpf: steer: count of %v: %w", Reason(reason), err)
		}
		for _, n := range perCPU {
			sums[reason] += n
		}
	}
	return sums, nil
}
