// Package iokernel is the pure part of the daemon that owns the network: it takes frames off NIC
// queues, steers them into the ports of runtimes, and takes the runtimes' frames back to the NIC or
// to another runtime of the same host.
//
//	NIC queue ── Link ──> queue ── steer ──> port ── rings ──> worker of a runtime
//	  (kernel's              copy into the runtime's memory        (another process,
//	   AF_XDP socket,        copy out of it, then check             not trusted)
//	   or a test)        <── queue <── egress <── port <── rings ──
//	                                    └──> port of another runtime on this host
//
// Dataplane is one poller for all of it. It has no clock, no system call, no goroutine; who opens
// sockets, makes memory and speaks to runtimes' processes is iokernel/daemon. Attach, Detach and
// the other verbs of the control plane are called on the Dataplane's thread, between two polls.
//
// What a runtime can do to others: nothing. Its frame memory is its own, each packet is copied once
// on its way in and once on its way out, and what was copied out is what is checked and sent. Its
// rings are read through ends that keep their indices privately; each descriptor is copied, checked
// and used from the copy. A ledger knows which of its frames lie unread in one of its rings, so
// that a frame that it hands in twice is noticed. A runtime that breaks the rules of the rings is
// cut off at once and reported (NextEviction); one that only sends what it may not loses the
// packet, counted.
package iokernel

import (
	"fmt"
	"net/netip"

	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// Limits of one Dataplane. (guesses: more than a host of today needs; each costs memory only)
const (
	MaxRuntimes  = 64
	MaxQueues    = 64
	MaxEndpoints = 1024
	MaxAddresses = 64
)

// Endpoint is what frames are steered by: an EtherType, or a UDP port on one local address or, with
// the zero address, on all of them.
type Endpoint struct {
	EtherType wire.EtherType // 0 for UDP
	Port      uint16
	Addr      netip.Addr
}

// String is 0x88b5, udp 7777 or udp 10.0.0.1:7777.
func (e Endpoint) String() string {
	switch {
	case e.EtherType != 0:
		return e.EtherType.String()
	case e.Addr.IsValid():
		return "udp " + netip.AddrPortFrom(e.Addr, e.Port).String()
	}
	return fmt.Sprintf("udp %d", e.Port)
}

// Waker wakes a parked worker: an eventfd that its process sleeps on.
type Waker interface{ Signal() }

// Queue is one NIC queue: a link over the iokernel's private frame memory, and the cache of the
// thread.
type Queue struct {
	Link  dataplane.Link
	Cache *dataplane.Cache
}

// Config of a Dataplane.
type Config struct {
	MAC    wire.MAC
	MTU    int // of the interface: bytes after the Ethernet header
	Queues []Queue
	// Notify is called, on the Dataplane's thread, when an eviction waits for NextEviction. It must
	// not block.
	Notify func()
}

// Dataplane is the poller. It belongs to one thread.
type Dataplane struct {
	mac      wire.MAC
	mtu      int
	queues   []*queue
	runtimes []*Runtime // attached, in order of attachment
	table    table
	notify   func()
	evicted  []Eviction // not reported yet
	dirty    []*port    // have something to publish; between two polls none has
	withheld int        // sent chunks staged and not given back, at most; 0 means none
	busy     int        // polls since some are
}

// New returns a Dataplane without runtimes.
func New(c Config) (*Dataplane, error) {
	if len(c.Queues) > MaxQueues {
		return nil, fmt.Errorf("iokernel: %d queues: at most %d", len(c.Queues), MaxQueues)
	}
	d := &Dataplane{
		mac: c.MAC, mtu: c.MTU, notify: c.Notify,
		evicted: make([]Eviction, 0, MaxRuntimes),
	}
	for _, q := range c.Queues {
		d.queues = append(d.queues, newQueue(q.Link, q.Cache))
	}
	if len(d.queues) == 0 {
		d.queues = []*queue{newQueue(nowhere{}, nil)}
	}
	return d, nil
}

// SetInterface follows a change of the interface's MAC address or MTU.
func (d *Dataplane) SetInterface(m wire.MAC, mtu int) { d.mac, d.mtu = m, mtu }

// SetAddresses replaces the interface's IP addresses: what runtimes may send from.
func (d *Dataplane) SetAddresses(addrs []netip.Addr) error {
	if len(addrs) > MaxAddresses {
		return fmt.Errorf("iokernel: the interface has %d addresses: at most %d are followed",
			len(addrs), MaxAddresses)
	}
	d.table.addrs = d.table.addrs[:0]
	for _, a := range addrs {
		d.table.addrs = append(d.table.addrs, local(a))
	}
	return nil
}

// Arm asks everybody whose input only the Dataplane polls (the runtimes) to ring before it sleeps,
// or tells them that it polls again.
func (d *Dataplane) Arm(on bool) {
	for _, r := range d.runtimes {
		for _, p := range r.ports {
			p.far.Tx.SetNeedWakeup(on)
		}
	}
}
