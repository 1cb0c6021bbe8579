package xdp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/xdp/sock"
)

const (
	// The kernel releases a queue by a worker that waits for its network lock: 17 ms after the
	// last close on an idle machine (measured), longer on a loaded one. So a queue that nobody is
	// seen to hold is waited for longer. (guess: ten times)
	bindPatience       = 200 * time.Millisecond
	bindPatienceUnheld = 2 * time.Second
	bindPause          = 2 * time.Millisecond

	busyPollBudget = 64 // the kernel's default
)

// setRings makes the socket's rings, before it is bound.
func setRings(fd int, z sock.Sizes) error {
	for _, r := range []struct {
		name    string
		option  int
		entries uint32
	}{
		{"fill", unix.XDP_UMEM_FILL_RING, z.Fill},
		{"completion", unix.XDP_UMEM_COMPLETION_RING, z.Completion},
		{"rx", unix.XDP_RX_RING, z.Rx},
		{"tx", unix.XDP_TX_RING, z.Tx},
	} {
		if r.entries == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_XDP, r.option, int(r.entries)); err != nil {
			return fmt.Errorf("make a %s ring of %d entries (want a power of two): %w", r.name,
				r.entries, err)
		}
	}
	return nil
}

// bindOwner binds a socket with memory of its own, by zero-copy if that may be. It always asks for
// need_wakeup: without it nobody would know when a system call is due.
func (s *Socket) bindOwner(fd int, o SocketOptions) error {
	address := unix.SockaddrXDP{
		Ifindex: uint32(s.iface.features.Index),
		QueueID: uint32(s.queue),
	}
	flags := uint16(unix.XDP_USE_NEED_WAKEUP)
	if s.iface.frags {
		flags |= unix.XDP_USE_SG
	}
	var why string
	switch {
	case o.CopyOnly:
	case s.iface.mode == Generic:
		why = "generic XDP has none"
	default:
		address.Flags = flags | unix.XDP_ZEROCOPY
		err := s.bind(fd, &address)
		if err == nil || errors.Is(err, unix.EBUSY) {
			return err
		}
		if why = s.iface.features.ZeroCopy.Why; s.iface.features.ZeroCopy.OK {
			why = err.Error()
		}
	}
	address.Flags = flags | unix.XDP_COPY
	if err := s.bind(fd, &address); err != nil {
		return err
	}
	if why != "" {
		s.fallbacks = append(s.fallbacks, Fallback{"zero-copy", "copy", why})
	}
	return nil
}

// bind binds, and waits for a queue that is being released.
func (s *Socket) bind(fd int, address *unix.SockaddrXDP) error {
	start := time.Now()
	err := bindFor(fd, address, start.Add(bindPatience))
	if err == unix.EBUSY {
		who := holders(s.iface.features.Index, s.queue)
		if len(who) == 0 {
			err = bindFor(fd, address, start.Add(bindPatienceUnheld))
		}
		if err == unix.EBUSY {
			return &BusyError{Interface: s.iface.features.Interface, Queue: s.queue, Holders: who}
		}
	}
	switch err {
	case nil:
		return nil
	case unix.EINVAL:
		if s.iface.frags {
			return fmt.Errorf("bind: %w (multi-buffer sockets need Linux 6.6)", err)
		}
	}
	return fmt.Errorf("bind: %w", err)
}

// bindFor binds, and tries again while the queue is busy until the deadline.
func bindFor(fd int, address *unix.SockaddrXDP, deadline time.Time) error {
	for {
		err := unix.Bind(fd, address)
		if err != unix.EBUSY || time.Now().After(deadline) {
			return err
		}
		time.Sleep(bindPause)
	}
}

// tune sets what makes a bound socket faster. What cannot be set is a fallback, not an error.
func (s *Socket) tune(fd int, o SocketOptions) {
	if o.Rings.Tx > 0 {
		s.budget = min(txBudget, int(o.Rings.Tx))
		err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, s.budget)
		if err != nil {
			s.fallbacks = append(s.fallbacks, Fallback{
				fmt.Sprintf("%d descriptors per system call", s.budget),
				fmt.Sprint(txBudgetDefault), "the kernel refuses more: " + err.Error(),
			})
			s.budget = txBudgetDefault
		}
	}
	if o.BusyPoll.Microseconds == 0 {
		return
	}
	budget := o.BusyPoll.Budget
	if budget == 0 {
		budget = busyPollBudget
	}
	for _, x := range [][2]int{
		{unix.SO_PREFER_BUSY_POLL, 1},
		{unix.SO_BUSY_POLL, o.BusyPoll.Microseconds},
		{unix.SO_BUSY_POLL_BUDGET, budget},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, x[0], x[1]); err != nil {
			s.fallbacks = append(s.fallbacks, Fallback{
				"preferred busy polling", "interrupts",
				err.Error() + " (needs Linux 5.11)",
			})
			return
		}
	}
}
