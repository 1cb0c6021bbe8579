package pin

import (
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
)

// parking is what a loop sleeps on. It belongs to the loop's thread.
type parking struct {
	event   *Event
	waiters []Waiter
	fds     []unix.PollFd // fds[0] is the loop's own event, fds[i+1] that of waiters[i]
	timeout unix.Timespec // here, because a pointer to a local would escape at each park
}

func (p *parking) init(e *Event, waiters []Waiter) {
	p.event = e
	p.fds = []unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLIN}}
	for _, w := range waiters {
		p.add(w)
	}
}

func (p *parking) add(w Waiter) {
	p.waiters = append(p.waiters, w)
	p.fds = append(p.fds, unix.PollFd{Fd: int32(w.FD()), Events: unix.POLLIN})
}

func (p *parking) remove(w Waiter) {
	for i := range p.waiters {
		if p.waiters[i] == w {
			p.waiters = append(p.waiters[:i], p.waiters[i+1:]...)
			p.fds = append(p.fds[:i+1], p.fds[i+2:]...)
			return
		}
	}
}

func (p *parking) arm(on bool) {
	for _, w := range p.waiters {
		w.Arm(on)
	}
}

func (p *parking) pending() bool {
	for _, w := range p.waiters {
		if w.Pending() {
			return true
		}
	}
	return false
}

// wait sleeps until an fd has input, or until the time next; core.Never is without limit. A timer
// is expensive to arm in a virtual machine, so a loop that waits for input only has none.
func (p *parking) wait(now, next core.Time) {
	timeout := (*unix.Timespec)(nil)
	if next != core.Never {
		p.timeout = unix.NsecToTimespec(int64(next - now))
		timeout = &p.timeout
	}
	n, err := unix.Ppoll(p.fds, timeout, nil)
	if err != nil || n == 0 {
		return // EINTR: the collector's signal; whoever woke us for nothing pays a turn
	}
	if p.fds[0].Revents != 0 {
		p.event.Drain()
	}
	for i, w := range p.waiters {
		fd := &p.fds[i+1]
		if fd.Revents&unix.POLLIN != 0 {
			w.Drain()
		}
		if fd.Revents&(unix.POLLHUP|unix.POLLNVAL) != 0 ||
			fd.Revents != 0 && fd.Revents&unix.POLLIN == 0 {
			// Hung up, closed, or in error without input: it would end every sleep from now on,
			// even if it still has something to read. Whoever owns it finds out by using it. (An
			// error with input is an eventfd that overflowed; Drain has reset it.)
			fd.Fd = -1
		}
	}
}
