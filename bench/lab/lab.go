// Package lab is the door to a network of one's own: two network namespaces joined by veth pairs,
// for tests and benchmarks that need a real kernel and must not disturb the machine's network.
//
//	namespace A                          namespace B
//	  lo                                   lo
//	  dl0  10.77.0.1/24 fd77::1/64  <--->  dl1  10.77.0.2/24 fd77::2/64
//	  (more pairs by AddPair)
//
// The namespaces are anonymous: nothing but file descriptors holds them, so they and all that is in
// them vanish with the process, also after SIGKILL, unless a process that was started inside one
// lives on. It needs no program but the kernel: netlink, /proc/sys and one ioctl.
//
// What it does not do: shape, drop or delay traffic, or measure it.
//
// Quiet. After New or AddPair returns, an end sends nothing that nobody asked for: there is no
// duplicate address detection, no router solicitation, no link-local address, and the multicast
// listener reports that an IPv6 address costs have been sent. What remains: whoever sends IP
// through the kernel's stack causes ARP or neighbour solicitations first and again later (to probe
// an entry that he relies on), unless PairOptions.Neighbours makes the entries permanent; and TCP
// and UDP sockets answer what reaches them. With NoIPv6 an interface has no IPv6 at all.
//
// All calls are control plane: they block, allocate and may be made by any goroutine, but one at a
// time. Only root (CAP_SYS_ADMIN and CAP_NET_ADMIN) can make a lab; others get an error that is
// fs.ErrPermission.
package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Side is one of the two namespaces, and the end of a pair that lies in it.
type Side int

// The two sides of a lab.
const (
	A Side = iota
	B
)

// String is the side's letter.
func (s Side) String() string { return [...]string{"A", "B"}[s] }

// Other is the side across.
func (s Side) Other() Side { return 1 - s }

// Lab is two namespaces and the pairs between them.
type Lab struct {
	spaces [2]netns.NsHandle
	links  [2]*netlink.Handle // netlink sockets that live in the namespaces
	pairs  []*Pair
}

// New returns a lab with one pair.
func New(o PairOptions) (*Lab, error) {
	l := &Lab{spaces: [2]netns.NsHandle{netns.None(), netns.None()}}
	if err := l.open(o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) open(o PairOptions) error {
	for _, side := range []Side{A, B} {
		space, err := newSpace()
		if err != nil {
			return fmt.Errorf("lab: make network namespace %s: %w", side, err)
		}
		l.spaces[side] = space
		err = l.In(side, func() error {
			if err := quieten(); err != nil {
				return err
			}
			handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
			if err != nil {
				return err
			}
			l.links[side] = handle
			return loopbackUp(handle)
		})
		if err != nil {
			return fmt.Errorf("lab: set up namespace %s: %w", side, err)
		}
	}
	_, err := l.AddPair(o)
	return err
}

// Pair is the first pair.
func (l *Lab) Pair() *Pair { return l.pairs[0] }

// End is the first pair's end on side.
func (l *Lab) End(side Side) End { return l.pairs[0].Ends[side] }

// Close removes the pairs and lets go of the namespaces. What still runs inside one keeps it,
// without the pairs. A second Close does nothing.
func (l *Lab) Close() error {
	var errs []error
	for _, p := range l.pairs {
		errs = append(errs, p.Remove())
	}
	l.pairs = nil
	for _, side := range []Side{A, B} {
		if l.links[side] != nil {
			l.links[side].Close()
			l.links[side] = nil
		}
		if l.spaces[side].IsOpen() {
			if err := l.spaces[side].Close(); err != nil {
				errs = append(errs, fmt.Errorf("lab: close namespace %s: %w", side, err))
			}
		}
	}
	return errors.Join(errs...)
}
