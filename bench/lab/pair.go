package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// PairOptions describes a veth pair; the zero value is the picture in the package's documentation.
type PairOptions struct {
	Names  [2]string // of the ends in A and B; default dl0 and dl1
	Queues int       // transmit and as many receive queues on each end; 0 means 1
	MTU    int       // bytes; 0 means 1500
	Subnet int       // n in 10.n.0.0/24 and fdn::/64, 10 to 99; 0 means 77. One per pair.

	NoIPv6       bool // no IPv6 on either end, not even the protocol
	Neighbours   bool // permanent neighbour entries for the other end's addresses
	NoTxChecksum bool // the stack computes checksums itself: by default veth leaves them blank

	// Bare ends have no addresses and no IPv6: the stack behind them answers nothing. What reads
	// their frames stands in the middle of something longer (bench/lab/wire).
	Bare [2]bool
}

// End is one end of a pair.
type End struct {
	Name  string
	Index int // of the interface, in its namespace
	MAC   [6]byte
	IPv4  netip.Addr // not valid with Bare
	IPv6  netip.Addr // not valid with Bare or NoIPv6
}

// Pair is a veth pair, an end on each side.
type Pair struct {
	Ends [2]End
	lab  *Lab
	o    PairOptions
}

const (
	defaultSubnet = 77
	ipv4Bits      = 24
	ipv6Bits      = 64

	// settleTimeout bounds the waits for the kernel's workers: link state and listener reports take
	// milliseconds on an idle machine. (guess: a hundred times that)
	settleTimeout = 2 * time.Second
	settlePoll    = time.Millisecond
)

// AddPair makes one more pair. Its names and subnet must be new in the lab. Both ends are up, have
// carrier and addresses when it returns.
func (l *Lab) AddPair(o PairOptions) (*Pair, error) {
	if o.Names == ([2]string{}) {
		o.Names = [2]string{"dl0", "dl1"}
	}
	if o.Queues == 0 {
		o.Queues = 1
	}
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Subnet == 0 {
		o.Subnet = defaultSubnet
	}
	if o.Subnet < 10 || o.Subnet > 99 || o.Queues < 0 || o.MTU < 0 {
		return nil, fmt.Errorf("lab: pair %v: subnet %d, %d queues, MTU %d: want a subnet from 10 "+
			"to 99 and nothing negative", o.Names, o.Subnet, o.Queues, o.MTU)
	}
	p := &Pair{lab: l, o: o}
	if err := p.create(); err != nil {
		return nil, fmt.Errorf("lab: make pair %s-%s: %w", o.Names[A], o.Names[B], err)
	}
	l.pairs = append(l.pairs, p)
	if err := p.configure(); err != nil {
		l.pairs = l.pairs[:len(l.pairs)-1]
		err = fmt.Errorf("lab: set up pair %s-%s: %w", o.Names[A], o.Names[B], err)
		return nil, errors.Join(err, p.Remove())
	}
	return p, nil
}

func (p *Pair) create() error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = p.o.Names[A]
	attrs.MTU = p.o.MTU
	attrs.NumTxQueues, attrs.NumRxQueues = p.o.Queues, p.o.Queues
	veth := netlink.NewVeth(attrs)
	veth.PeerName = p.o.Names[B]
	veth.PeerNamespace = netlink.NsFd(p.lab.spaces[B])
	return p.lab.links[A].LinkAdd(veth)
}

func (p *Pair) configure() error {
	for _, side := range []Side{A, B} {
		if err := p.prepare(side); err != nil {
			return err
		}
	}
	// Both up first: an address that is set on an end without carrier sends its report into nothing
	// and once more when carrier comes.
	for _, side := range []Side{A, B} {
		if err := p.SetUp(side, true); err != nil {
			return err
		}
	}
	for _, side := range []Side{A, B} {
		if err := p.awaitCarrier(side); err != nil {
			return err
		}
	}
	if err := p.address(); err != nil {
		return err
	}
	if !p.o.Neighbours {
		return nil
	}
	return errors.Join(p.befriend(A), p.befriend(B))
}

// prepare does what must precede the first frame, and learns what the end is.
func (p *Pair) prepare(side Side) error {
	name := p.o.Names[side]
	link, err := p.lab.links[side].LinkByName(name)
	if err != nil {
		return err
	}
	e := End{Name: name, Index: link.Attrs().Index}
	copy(e.MAC[:], link.Attrs().HardwareAddr)
	if !p.o.Bare[side] {
		e.IPv4 = netip.AddrFrom4([4]byte{10, byte(p.o.Subnet), 0, byte(side) + 1})
	}
	if p.speaksIPv6(side) {
		e.IPv6, err = netip.ParseAddr(fmt.Sprintf("fd%d::%d", p.o.Subnet, side+1))
		if err != nil {
			return err
		}
	}
	p.Ends[side] = e
	return p.lab.In(side, func() error {
		if !p.speaksIPv6(side) {
			if err := sysctl("ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil {
				return err
			}
		}
		if p.o.NoTxChecksum {
			return setTxChecksum(name, false)
		}
		return nil
	})
}

func (p *Pair) speaksIPv6(side Side) bool { return !p.o.NoIPv6 && !p.o.Bare[side] }

func (p *Pair) awaitCarrier(side Side) error {
	for start := time.Now(); ; time.Sleep(settlePoll) {
		link, err := p.lab.links[side].LinkByIndex(p.Ends[side].Index)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Since(start) > settleTimeout {
			return fmt.Errorf("%s is %s after %v", p.Ends[side].Name, link.Attrs().OperState,
				settleTimeout)
		}
	}
}

// address gives both ends their addresses and waits until the announcements are over.
func (p *Pair) address() error {
	var reports [2]uint64
	for _, side := range []Side{A, B} {
		e := p.Ends[side]
		if p.o.Bare[side] {
			continue
		}
		if err := p.addAddress(side, e.IPv4, ipv4Bits, 0); err != nil {
			return err
		}
		if p.o.NoIPv6 {
			continue
		}
		err := p.lab.In(side, func() (err error) {
			reports[side], err = listenerReports()
			return err
		})
		if err != nil {
			return err
		}
		if err := p.addAddress(side, e.IPv6, ipv6Bits, unix.IFA_F_NODAD); err != nil {
			return err
		}
	}
	if p.o.NoIPv6 {
		return nil
	}
	for _, side := range []Side{A, B} {
		if p.o.Bare[side] {
			continue
		}
		err := p.lab.In(side, func() error { return awaitListenerReports(reports[side]) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Pair) addAddress(side Side, a netip.Addr, bits, flags int) error {
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: p.Ends[side].Index}}
	err := p.lab.links[side].AddrAdd(link, &netlink.Addr{
		IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())},
		Flags: flags,
	})
	if err != nil {
		return fmt.Errorf("add %s/%d to %s: %w", a, bits, p.Ends[side].Name, err)
	}
	return nil
}

// befriend tells side where the other end's addresses are, for good.
func (p *Pair) befriend(side Side) error {
	peer := p.Ends[side.Other()]
	for _, a := range []netip.Addr{peer.IPv4, peer.IPv6} {
		if !a.IsValid() {
			continue
		}
		err := p.lab.links[side].NeighSet(&netlink.Neigh{
			LinkIndex:    p.Ends[side].Index,
			State:        netlink.NUD_PERMANENT,
			IP:           a.AsSlice(),
			HardwareAddr: peer.MAC[:],
		})
		if err != nil {
			return fmt.Errorf("make %s a neighbour of %s: %w", a, p.Ends[side].Name, err)
		}
	}
	return nil
}

// SetUp sets an end administratively up or down. An end that is down takes the other's carrier.
func (p *Pair) SetUp(side Side, up bool) error {
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: p.Ends[side].Index}}
	set := p.lab.links[side].LinkSetUp
	if !up {
		set = p.lab.links[side].LinkSetDown
	}
	if err := set(link); err != nil {
		return fmt.Errorf("lab: set %s up=%t: %w", p.Ends[side].Name, up, err)
	}
	return nil
}

// Remove deletes the pair, both ends. A second Remove does nothing, nor does one of a pair that
// somebody else deleted.
func (p *Pair) Remove() error {
	if p.lab.links[A] == nil {
		return nil
	}
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: p.Ends[A].Index}}
	if link.Index == 0 {
		link.Name = p.o.Names[A]
	}
	err := p.lab.links[A].LinkDel(link)
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("lab: remove pair %s-%s: %w", p.o.Names[A], p.o.Names[B], err)
	}
	return nil
}
