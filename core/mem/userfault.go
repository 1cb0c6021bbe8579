package mem

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Feature is something of the kernel that not every machine has.
type Feature uint8

// The features that a window can use. It works without any of them.
const (
	WriteProtect Feature = iota // asynchronous userfaultfd write protection: notices first writes
	PageScan                    // PAGEMAP_SCAN: reads and re-arms what was noticed, in one call
	PageMove                    // UFFDIO_MOVE: moves pages instead of copying them
)

func (f Feature) String() string {
	switch f {
	case WriteProtect:
		return "userfaultfd write protection"
	case PageScan:
		return "PAGEMAP_SCAN"
	case PageMove:
		return "UFFDIO_MOVE"
	}
	return fmt.Sprintf("feature %d", uint8(f))
}

// since is the first kernel that has it, as the kernel's documentation says.
func (f Feature) since() string {
	if f == PageMove {
		return "6.8"
	}
	return "6.7"
}

// UnsupportedError says that this process cannot use a feature, and why.
type UnsupportedError struct {
	Feature   Feature
	Forbidden bool // the kernel may have it: seccomp or a container's policy keeps it from us
	Err       error
}

func (e *UnsupportedError) Error() string {
	if e.Forbidden {
		return fmt.Sprintf("mem: no %v: this process may not use it (seccomp, a container's "+
			"policy): %v", e.Feature, e.Err)
	}
	return fmt.Sprintf("mem: no %v, which Linux has from %s on: %v", e.Feature, e.Feature.since(),
		e.Err)
}

func (e *UnsupportedError) Unwrap() error { return e.Err }

// Is reports it as errors.ErrUnsupported as well, for those who cannot name this package.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

func unsupported(f Feature, err error) error {
	forbidden := errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
	return &UnsupportedError{Feature: f, Forbidden: forbidden, Err: err}
}

var (
	errNoMove  = errors.New("the kernel does not list it")
	errUnarmed = errors.New("a write was not reported")
)

// userfault is a userfaultfd over a whole window, and the file that says what it noticed.
type userfault struct {
	fd       int
	scan     int // a descriptor of pagemap
	mayMove  bool
	tracking error // why changes cannot be tracked, nil if they can
	moving   error // why pages cannot be moved
}

// openTracking registers b, or says why not: nobody is refused a window for that.
func openTracking(b []byte) userfault {
	u := userfault{fd: -1, scan: -1}
	u.tracking = u.open(b)
	if u.tracking != nil {
		u.moving = unsupported(PageMove, u.tracking)
	}
	return u
}

func (u *userfault) open(b []byte) error {
	fd, err := openUserfault()
	if err != nil {
		return unsupported(WriteProtect, err)
	}
	u.fd = fd
	features, err := startUserfault(fd)
	if err == nil {
		err = registerWP(fd, b)
	}
	if err != nil {
		return unsupported(WriteProtect, err)
	}
	if u.mayMove = features&uffdFeatureMove != 0; !u.mayMove {
		u.moving = unsupported(PageMove, errNoMove)
	}
	u.scan, err = unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unsupported(PageScan, err)
	}
	return u.tryScan(b[:os.Getpagesize()])
}

// tryScan asks for one page that nobody has touched: a kernel without the call says so.
func (u *userfault) tryScan(page []byte) error {
	var regions [1]pageRegion
	_, _, err := scanPages(u.scan, page, pageWritten, regions[:])
	if err != nil {
		return unsupported(PageScan, err)
	}
	return nil
}

// move moves the pages of from to to and says how many bytes it got through.
func (u *userfault) move(to, from []byte) (moved int) {
	if !u.mayMove {
		return 0
	}
	for range retries {
		if moved == len(from) {
			break
		}
		n, err := movePages(u.fd, to[moved:], from[moved:])
		moved += n
		if err != nil && (n == 0 || !errors.Is(err, unix.EAGAIN)) {
			break
		}
	}
	return moved
}

func (u *userfault) close() error {
	var err error
	for _, fd := range [...]int{u.fd, u.scan} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	*u = userfault{fd: -1, scan: -1, tracking: os.ErrClosed, moving: os.ErrClosed}
	return err
}
