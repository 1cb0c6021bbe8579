package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// Door is the application's way to the iokernel around which it runs: what the control socket is to
// others, without the socket. The application attaches with root's identity.
func (d *Daemon) Door() (attach.Door, error) {
	return &door{d: d, done: make(chan struct{})}, nil
}

var _ attach.Solo = (*Daemon)(nil)

// door is one attachment from within the process.
type door struct {
	d    *Daemon
	done chan struct{}
	end  sync.Once
	why  error // written before done is closed
}

func (p *door) Attach(h control.Hello) (control.Grant, map[string]*os.File, error) {
	a, f, err := p.d.attach(p, control.Credentials{PID: os.Getpid()}, h)
	if err != nil {
		return control.Grant{}, nil, err
	}
	m := make(map[string]*os.File, len(f.names))
	for i, name := range f.names {
		// The runtime closes its files, as it would those of another process.
		file, err := duplicate(f.list[i])
		if err != nil {
			for _, file := range m {
				file.Close()
			}
			err = fmt.Errorf("iokernel: hand out %s: %w", name, err)
			return control.Grant{}, nil, errors.Join(err, p.Close())
		}
		m[name] = file
	}
	return a.grant, m, nil
}

// duplicate is another descriptor of the same file.
func duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

func (p *door) Neigh(addr netip.Addr) (control.MAC, bool, error) {
	r, err := p.d.neighbour(context.Background(), addr)
	return r.MAC, r.Found, err
}

func (p *door) Threads(ids []int) error { return p.d.threads(p, ids) }

func (p *door) Done() <-chan struct{} { return p.done }

func (p *door) Wait() error {
	<-p.done
	return p.why
}

// Evict ends the attachment from the iokernel's side.
func (p *door) Evict(reason string) { p.finish(&control.Evicted{Reason: reason}) }

// Close ends it from the application's.
func (p *door) Close() error {
	p.finish(control.ErrClosed)
	p.d.forgetIdentity(p)
	return p.d.detach(p)
}

func (p *door) finish(why error) {
	p.end.Do(func() {
		p.why = why
		close(p.done)
	})
}

// evictPrivate ends the attachments from within the process, when the iokernel closes.
func (d *Daemon) evictPrivate() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for by, a := range d.attached {
		if p, ok := by.(*door); ok {
			p.Evict("the iokernel is stopping")
			delete(d.attached, by)
			if err := d.release(a); err != nil {
				d.log.Error("iokernel: close", "err", err)
			}
		}
	}
}
